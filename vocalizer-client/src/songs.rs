//! Uploading, listing, reading, changing and deleting songs.

use std::ops::Range;
use std::sync::PoisonError;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::try_unfold;
use reqwest::Method;
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout};
use vocalizer_api::id::SongId;
use vocalizer_api::part::Part;
use vocalizer_api::{
    Analysis, AnalysisData, LimitsData, LimitsView, LyricsData, PeaksData, PeaksView, SongChange, SongData, SongView,
    SongsData,
};

use crate::resumable::THRESHOLD_BYTES;
use crate::{Client, Error, SongQuery, SongsPage, Upload};

impl Client {
    /// Uploads a song, which then waits to be split.
    ///
    /// If the server supports it, the upload is retried after transient errors, as
    /// [`ClientBuilder::with_retries`](crate::ClientBuilder::with_retries) says, unless its source is a stream that can
    /// be read once. Thanks to the [ID](Upload::with_id), a retry makes no second song.
    ///
    /// A song above 8 MiB is uploaded in parts, if the server supports it: after an error the upload continues with what
    /// the server does not have yet. Every part that arrives restores the number of retries.
    ///
    /// The upload has no timeout as a whole, but it must not stall for longer than
    /// [`ClientBuilder::with_stall_timeout`](crate::ClientBuilder::with_stall_timeout).
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// let song = client.upload(Upload::from_bytes("Clair de lune", "clair.flac", "any bytes")).await?;
    /// println!("{} is {}", song.id, song.status);
    /// let song = client.wait(song.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, [`Error::Source`] if the stream fails, [`Error::TooLarge`] or
    /// [`Error::Api`] if the server rejects the song, [`Error::TimedOut`] if the upload stalls, and
    /// [`Error::Transport`] if the connection fails.
    pub async fn upload(&self, mut upload: Upload) -> Result<SongView, Error> {
        let limits = self.cached_limits().await;
        // If the server did not tell, an ID does no harm.
        let has_id = limits.is_none_or(|limits| limits.upload_ids);
        let LimitsView { max_upload_bytes: max_bytes, upload_ids, .. } = limits.unwrap_or_default();
        let size_bytes = upload.size_bytes().await?;
        if let Some(size_bytes) = size_bytes
            && size_bytes > max_bytes
        {
            return Err(Error::TooLarge { size_bytes, max_bytes });
        }
        let is_resumable = limits.is_some_and(|limits| limits.resumable_uploads) && upload.is_repeatable();
        if let Some(size_bytes) = size_bytes.filter(|&size_bytes| is_resumable && size_bytes > THRESHOLD_BYTES)
            && let Some(song) = self.upload_in_parts(&mut upload, size_bytes).await?
        {
            return Ok(song);
        }
        let mut retry = self.retries();
        loop {
            let error = match self.try_upload(&mut upload, has_id).await {
                Ok(song) => return Ok(song),
                Err(error) => error,
            };
            let pause = if upload_ids && upload.is_repeatable() { retry.after(&error) } else { None };
            let Some(pause) = pause else { return Err(error) };
            sleep(pause).await;
            // Only the response may have been lost.
            if let Ok(song) = self.song(upload.id()).await {
                return Ok(song);
            }
        }
    }

    async fn try_upload(&self, upload: &mut Upload, has_id: bool) -> Result<SongView, Error> {
        let (form, timer) = upload.form(has_id, self.settings.stall_timeout, self.settings.timeout).await?;
        let request = self.request(Method::POST, "songs/upload")?.multipart(form);
        let sent = timer.watch(self.call_unbounded::<SongData>(request)).await;
        match timer.failure() {
            Some(error) => Err(upload.source_error(error)),
            None => sent.map(|data| data.song),
        }
    }

    /// Returns the server's limits, at most a minute old; `None` if it does not respond. A server that has none, such as
    /// the original one, gets the default.
    async fn cached_limits(&self) -> Option<LimitsView> {
        const LASTS: Duration = Duration::from_secs(60);

        let known = *self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, limits)) = known
            && read_at.elapsed() < LASTS
        {
            return Some(limits);
        }
        // The upload itself reports errors.
        match timeout(self.settings.stall_timeout, self.limits()).await {
            Ok(Ok(limits)) => {
                *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), limits));
                Some(limits)
            }
            Ok(Err(error)) if !error.is_transient() => Some(LimitsView::default()),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Returns all songs visible to the user, or all public songs without a login, newest first. It reads all pages of
    /// the list; for long lists use [`Client::song_pages`].
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// for song in client.songs().await? {
    ///     println!("{} {} {}", song.id, song.status, song.title);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::songs_page`].
    pub async fn songs(&self) -> Result<Vec<SongView>, Error> {
        let (mut songs, mut next) = (Vec::new(), Some(SongQuery::new()));
        while let Some(query) = next {
            let mut page = self.songs_page(&query).await?;
            songs.append(&mut page.songs);
            next = page.next;
        }
        Ok(songs)
    }

    /// Returns a stream of pages, with one call per page. It ends after the last page or the first error.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongQuery, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt;
    ///
    /// let (mut pages, mut count) = (pin!(client.song_pages(SongQuery::new())), 0);
    /// while let Some(songs) = pages.try_next().await? {
    ///     count += songs.len();
    /// }
    /// assert_eq!(count, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn song_pages(&self, query: SongQuery) -> impl Stream<Item = Result<Vec<SongView>, Error>> + Send + use<> {
        let client = self.clone();
        try_unfold(Some(query), move |next| {
            let client = client.clone();
            async move {
                let Some(query) = next else { return Ok::<_, Error>(None) };
                let page = client.songs_page(&query).await?;
                Ok(Some((page.songs, page.next)))
            }
        })
    }

    /// Returns the server's limits for uploads and users.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let size_bytes = 3_000_000;
    /// let limits = client.limits().await?;
    /// if size_bytes > limits.max_upload_bytes {
    ///     println!("at most {} bytes are allowed", limits.max_upload_bytes);
    /// }
    /// if !limits.anonymous_uploads && client.me().await?.is_none() {
    ///     println!("log in first");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn limits(&self) -> Result<LimitsView, Error> {
        self.read::<LimitsData>("limits").await.map(|data| data.limits)
    }

    /// Returns the loudness of a part over time, for drawing its waveform.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let peaks = client.peaks(id, Part::Vocals).await?;
    /// let seconds_per_value = peaks.frames_per_value as f64 / f64::from(peaks.rate_hz);
    /// for (number, value) in peaks.values.iter().enumerate() {
    ///     println!("{:6.1} s {}", number as f64 * seconds_per_value, "#".repeat(usize::from(value / 8)));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist or could not be split; with
    /// [`ErrorCode::NotReady`](crate::ErrorCode::NotReady) if it is not split yet.
    pub async fn peaks(&self, id: SongId, part: Part) -> Result<PeaksView, Error> {
        self.read::<PeaksData>(&format!("songs/{id}/peaks/{part}")).await.map(|data| data.peaks)
    }

    /// Returns the loudness of a range of a part in more detail, in at most `points` values (1 to 2048). The first value
    /// begins at [`first_frame`](PeaksView::first_frame); a range beyond the end has no values.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vocalizer_client::{Error, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let chorus = Duration::from_secs(60)..Duration::from_secs(75);
    /// let peaks = client.peaks_between(id, Part::Vocals, chorus, 500).await?;
    /// println!("{} values from frame {} on", peaks.values.len(), peaks.first_frame);
    /// # assert!(peaks.values.len() <= 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::peaks`]; [`Error::Api`] if the range is empty or `points` is out of range.
    pub async fn peaks_between(
        &self,
        id: SongId,
        part: Part,
        range: Range<Duration>,
        points: u32,
    ) -> Result<PeaksView, Error> {
        let (from_ms, to_ms) = (range.start.as_millis(), range.end.as_millis());
        let path = format!("songs/{id}/peaks/{part}?from_ms={from_ms}&to_ms={to_ms}&points={points}");
        self.read::<PeaksData>(&path).await.map(|data| data.peaks)
    }

    /// Returns the tempo and the key of a song, each `None` if the song has none that can be found. The server finds them on the first request, which
    /// takes a second or two, whether the song is split or not.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let found = client.analysis(id).await?;
    /// if let (Some(tempo), Some(key)) = (found.tempo, found.key) {
    ///     println!("{:.1} BPM, in {key}", tempo.bpm);
    /// }
    /// # assert_eq!(found.key.map(|key| key.to_string()).as_deref(), Some("F#m"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist.
    pub async fn analysis(&self, id: SongId) -> Result<Analysis, Error> {
        self.read::<AnalysisData>(&format!("songs/{id}/analysis")).await.map(|data| data.analysis)
    }

    /// Returns the lyrics in the tags of a song's file, plain or in the LRC format; `None` if there are none.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// if let Some(lyrics) = client.lyrics(id).await? {
    ///     println!("{lyrics}");
    /// }
    /// # assert_eq!(client.lyrics(id).await?.as_deref(), Some("[00:01.00]fake lyrics"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist.
    pub async fn lyrics(&self, id: SongId) -> Result<Option<String>, Error> {
        self.read::<LyricsData>(&format!("songs/{id}/lyrics")).await.map(|data| data.lyrics)
    }

    /// Returns a page of the songs that match `query`, and the query for the next page.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongQuery, SongStatus, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let mut next = Some(SongQuery::new().with_status(SongStatus::Split).with_limit(50));
    /// while let Some(query) = next {
    ///     let page = client.songs_page(&query).await?;
    ///     page.songs.iter().for_each(|song| println!("{}", song.title));
    ///     next = page.next;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if the next page has the same cursor.
    pub async fn songs_page(&self, query: &SongQuery) -> Result<SongsPage, Error> {
        let data: SongsData = self.read(&query.path()).await?;
        query.page(data)
    }

    /// Returns a song.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// match client.song(id).await {
    ///     Ok(song) => println!("{} is {}", song.title, song.status),
    ///     Err(error) if error.has_code(ErrorCode::NotFound) => println!("it was deleted"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if it does not exist or is not visible.
    pub async fn song(&self, id: SongId) -> Result<SongView, Error> {
        self.read::<SongData>(&format!("songs/{id}")).await.map(|data| data.song)
    }

    /// Returns a song with details: when it was uploaded and, once it is split, whether its stems are lossless and what
    /// made them. Servers of the original system return none.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Format, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let song = client.song_in_detail(id).await?;
    /// if let Some(made) = song.provenance {
    ///     println!("split by {} on {}", made.model, made.device.as_deref().unwrap_or("an unknown device"));
    ///     println!("{} times faster than real time", made.speed.map_or(0.0, |speed| speed.times()));
    /// }
    /// let format = if song.lossless == Some(true) { Format::Flac } else { Format::Mp3 };
    /// let vocals = client.download(id, (Part::Vocals, format)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::song`].
    pub async fn song_in_detail(&self, id: SongId) -> Result<SongView, Error> {
        self.read::<SongData>(&format!("songs/{id}?details=1")).await.map(|data| data.song)
    }

    /// Changes the title of a song.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// // The server trims titles.
    /// let song = client.rename(id, " Clair de lune ").await?;
    /// assert_eq!(song.title, "Clair de lune");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist, or the server rejects the title.
    pub async fn rename(&self, id: SongId, title: impl Into<String>) -> Result<SongView, Error> {
        let change = SongChange { title: title.into() };
        self.send::<SongData>(Method::PATCH, &format!("songs/{id}"), &change).await.map(|data| data.song)
    }

    /// Retries a failed song.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongStatus, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # server.fail_next_song("too short");
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await.unwrap_err();
    /// if client.song(id).await?.status == SongStatus::Failed {
    ///     client.retry(id).await?;
    ///     client.wait(id).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if it did not fail.
    pub async fn retry(&self, id: SongId) -> Result<SongView, Error> {
        let request = self.request(Method::POST, &format!("songs/{id}/retry"))?;
        self.call::<SongData>(request).await.map(|data| data.song)
    }

    /// Cancels the splitting of a song that waits or is being split. It fails with the reason "cancelled by the user" and
    /// can be [retried](Self::retry).
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongStatus, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # server.hold_songs();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let song = client.cancel(id).await?;
    /// assert_eq!(song.status, SongStatus::Failed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if it is already split or has failed.
    pub async fn cancel(&self, id: SongId) -> Result<SongView, Error> {
        let request = self.request(Method::POST, &format!("songs/{id}/cancel"))?;
        self.call::<SongData>(request).await.map(|data| data.song)
    }

    /// Deletes a song and its stems. On servers with a trash it can be [restored](Self::restore) for some days.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// match client.delete(id).await {
    ///     Err(error) if error.has_code(ErrorCode::NotFound) => println!("it was already deleted"),
    ///     result => result?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if it does not exist, for example
    /// because it is already deleted.
    pub async fn delete(&self, id: SongId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
