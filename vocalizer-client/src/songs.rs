//! Songs: put up, listed, looked at, changed and deleted.

use futures_core::Stream;
use futures_util::stream::try_unfold;
use reqwest::Method;
use serde::de::IgnoredAny;
use vocalizer_core::api::{LimitsData, LimitsView, SongChange, SongData, SongView, SongsData};
use vocalizer_core::song::SongId;

use crate::{Client, Error, SongQuery, SongsPage, Upload};

impl Client {
    /// Uploads a song, which then waits to be split. A repeat is another song with the same bytes.
    ///
    /// However long it takes, it must not stand still for longer than
    /// [`ClientBuilder::with_stall_timeout`](crate::ClientBuilder::with_stall_timeout) says.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for a file that cannot be opened, [`Error::Api`] when the server does not want the song,
    /// [`Error::TimedOut`] for an upload that stands still, and [`Error::Transport`] also when the file or the stream
    /// fails on the way.
    pub async fn upload(&self, upload: Upload) -> Result<SongView, Error> {
        let (form, flow) = upload.into_form(self.settings.stall_timeout, self.settings.timeout).await?;
        let request = self.request(Method::POST, "songs/upload")?.multipart(form);
        flow.watch(self.call_unbounded::<SongData>(request)).await.map(|data| data.song)
    }

    /// All songs that the user may see, or that everybody may see without a session, newest first: as many calls as the
    /// server has pages of them. Where there may be very many, [`Client::song_pages`] brings them piece by piece.
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

    /// The pages of a list, one call for each, until there is none or one fails.
    ///
    /// ```no_run
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt;
    /// use vocalizer_client::{Client, Error, SongQuery};
    ///
    /// async fn count(client: &Client) -> Result<usize, Error> {
    ///     let (mut pages, mut count) = (pin!(client.song_pages(SongQuery::new())), 0);
    ///     while let Some(songs) = pages.try_next().await? {
    ///         count += songs.len();
    ///     }
    ///     Ok(count)
    /// }
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

    /// What the server takes, and from whom.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn limits(&self) -> Result<LimitsView, Error> {
        self.read::<LimitsData>("limits").await.map(|data| data.limits)
    }

    /// Some of the songs that [`Client::songs`] lists, and how to ask for those that follow.
    ///
    /// ```no_run
    /// use vocalizer_client::{Client, Error, SongQuery, SongStatus};
    ///
    /// async fn print_all(client: &Client) -> Result<(), Error> {
    ///     let mut next = Some(SongQuery::new().with_status(SongStatus::Split).with_limit(50));
    ///     while let Some(query) = next {
    ///         let page = client.songs_page(&query).await?;
    ///         page.songs.iter().for_each(|song| println!("{}", song.title));
    ///         next = page.next;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for a page that is said to follow itself.
    pub async fn songs_page(&self, query: &SongQuery) -> Result<SongsPage, Error> {
        let data: SongsData = self.read(&query.path()).await?;
        query.page(data)
    }

    /// One song.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when there is none that may be seen.
    pub async fn song(&self, id: SongId) -> Result<SongView, Error> {
        self.read::<SongData>(&format!("songs/{id}")).await.map(|data| data.song)
    }

    /// Gives a song another title.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when there is no such song, or the server does not accept the title.
    pub async fn rename(&self, id: SongId, title: impl Into<String>) -> Result<SongView, Error> {
        let change = SongChange { title: title.into() };
        self.send::<SongData>(Method::PATCH, &format!("songs/{id}"), &change).await.map(|data| data.song)
    }

    /// Has a song split again that could not be.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) when it did not fail.
    pub async fn retry(&self, id: SongId) -> Result<SongView, Error> {
        let request = self.request(Method::POST, &format!("songs/{id}/retry"))?;
        self.call::<SongData>(request).await.map(|data| data.song)
    }

    /// Deletes a song and its stems.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when there is none that may be deleted, so
    /// that of two calls the second ends here.
    pub async fn delete(&self, id: SongId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
