//! Downloads as streams.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use reqwest::Response;
use tokio::time::{Sleep, sleep};
use vocalizer_api::id::SongId;

use crate::fetch::{Opened, RemoteFile};
use crate::retry::Retry;
use crate::{Client, Error, SongFile};

/// After this many new bytes, the retry counter is reset.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// A download: a [`Stream`] of bytes. Without streams, use [`Download::next_chunk`].
///
/// If the connection fails, or no data arrives within the client's [timeout](crate::ClientBuilder::with_timeout), the
/// download resumes where it stopped, with the retries of
/// [`ClientBuilder::with_retries`](crate::ClientBuilder::with_retries). This needs an ETag from the server, to detect
/// changes of the file. Otherwise the download ends with an error.
///
/// ```no_run
/// # use vocalizer_client::{Archive, Client, Format, SongFile, SongId, reqwest};
/// # async fn demo(client: &Client, id: SongId) -> Result<(), Box<dyn std::error::Error>> {
/// let stems = client.download(id, SongFile::stems(Archive::Zip, Format::Mp3)).await?;
/// // Passes the bytes on while they arrive.
/// let body = reqwest::Body::wrap_stream(stems);
/// reqwest::Client::new().put("https://archive.example/stems.zip").body(body).send().await?.error_for_status()?;
/// # Ok(())
/// # }
/// ```
pub struct Download {
    source: RemoteFile,
    state: State,
    received_bytes: u64,
    /// `received_bytes` at the last reset of the retry counter.
    counted_from_bytes: u64,
    retry: Retry,
    idle: Pin<Box<Sleep>>,
}

/// The most bytes of a cover.
const MAX_COVER_BYTES: u64 = 1 << 20;

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

enum State {
    /// Receiving; the first `skip_bytes` are duplicates.
    Reading {
        body: Body,
        skip_bytes: u64,
    },
    Reopening(Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send>>),
    Ended,
}

impl State {
    fn reading(response: Response, skip_bytes: u64) -> Self {
        Self::Reading { body: Box::pin(response.bytes_stream()), skip_bytes }
    }
}

impl Client {
    /// Starts to download a part of a song in any format, or all its stems: see [`SongFile`].
    ///
    /// If the file is not ready yet, the client retries for up to
    /// [`ClientBuilder::with_ready_timeout`](crate::ClientBuilder::with_ready_timeout).
    ///
    /// ```
    /// # use vocalizer_client::{Format, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # use std::io::Write;
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let mut download = client.download(id, (Part::Vocals, Format::Flac)).await?;
    /// let mut file = std::fs::File::create(folder.path().join("vocals.flac"))?;
    /// while let Some(chunk) = download.next_chunk().await? {
    ///     file.write_all(&chunk)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist, could not be split, or is not ready in time; [`Error::WrongType`] if
    /// the response is not such a file.
    pub async fn download(&self, id: SongId, file: impl Into<SongFile>) -> Result<Download, Error> {
        Download::open(self.source(id, file.into())?).await
    }
}

/// A file on the server.
///
/// ```no_run
/// # use vocalizer_client::{Client, Error, FileInfo, Part, SongId};
/// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
/// let FileInfo { size_bytes, content_type, .. } = client.file_info(id, Part::Song).await?;
/// println!("{size_bytes:?} bytes of {content_type:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// The size in bytes; `None` if the file is not made yet.
    pub size_bytes: Option<u64>,
    /// The media type.
    pub content_type: Option<String>,
    /// The ETag, if equal tags mean equal bytes.
    pub etag: Option<String>,
}

impl Client {
    /// Continues a download at `offset`, also in another process. `etag` is the [first download's](Download::etag).
    ///
    /// ```
    /// # use vocalizer_client::{Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # use std::io::Write;
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// # let path = folder.path().join("vocals.mp3");
    /// # std::fs::write(&path, "fake ")?;
    /// # let etag = client.file_info(id, Part::Vocals).await?.etag.ok_or("no ETag")?;
    /// let mut file = std::fs::File::options().append(true).open(&path)?;
    /// let offset = file.metadata()?.len();
    /// let mut rest = client.resume(id, Part::Vocals, offset, &etag).await?;
    /// while let Some(chunk) = rest.next_chunk().await? {
    ///     file.write_all(&chunk)?;
    /// }
    /// # assert_eq!(std::fs::read_to_string(&path)?, "fake vocals");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] if the file changed, and those of [`Client::download`].
    pub async fn resume(
        &self,
        id: SongId,
        file: impl Into<SongFile>,
        offset: u64,
        etag: &str,
    ) -> Result<Download, Error> {
        let source = self.source(id, file.into())?;
        let (source, Opened { response, skip_bytes }) = source.open_at(offset, etag).await?;
        Ok(Download::new(source, response, skip_bytes, offset))
    }

    /// Returns the size, the media type and the ETag of a file, without downloading it.
    ///
    /// ```
    /// # use vocalizer_client::{Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// # let known_etag = None;
    /// let info = client.file_info(id, Part::Vocals).await?;
    /// if info.etag.is_none() || info.etag.as_deref() != known_etag {
    ///     client.download_to(id, Part::Vocals, folder.path().join("vocals.mp3")).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`].
    pub async fn file_info(&self, id: SongId, file: impl Into<SongFile>) -> Result<FileInfo, Error> {
        let source = self.source(id, file.into())?.head().await?;
        Ok(FileInfo {
            size_bytes: source.size_bytes,
            content_type: source.content_type().map(str::to_owned),
            etag: source.etag().map(str::to_owned),
        })
    }

    /// Returns the cover in the tags of a song's file: a JPEG of at most 256 × 256 pixels. The server makes it on the first request.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// match client.cover(id).await {
    ///     Ok(jpeg) => std::fs::write(folder.path().join("cover.jpg"), jpeg)?,
    ///     Err(error) if error.has_code(ErrorCode::NotFound) => println!("no cover"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # assert_eq!(std::fs::read(folder.path().join("cover.jpg"))?, b"fake cover");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist or its file has no cover that can be shown.
    pub async fn cover(&self, id: SongId) -> Result<Bytes, Error> {
        let file = RemoteFile::new(self, self.url(&format!("songs/{id}/cover"))?, ("cover", &["image/jpeg"]));
        Download::open(file).await?.into_bytes(MAX_COVER_BYTES).await
    }

    pub(crate) fn source(&self, id: SongId, file: SongFile) -> Result<RemoteFile, Error> {
        Ok(RemoteFile::new(self, self.url(&file.path(id))?, file.types()))
    }
}

impl Download {
    /// Starts the download; see [`Client::download`].
    pub(crate) async fn open(source: RemoteFile) -> Result<Self, Error> {
        let (source, response) = source.open().await?;
        Ok(Self::new(source, response, 0, 0))
    }

    fn new(source: RemoteFile, response: Response, skip_bytes: u64, offset: u64) -> Self {
        Self {
            idle: Box::pin(sleep(source.timeout())),
            retry: source.retries(),
            source,
            state: State::reading(response, skip_bytes),
            received_bytes: offset,
            counted_from_bytes: offset,
        }
    }

    /// Returns the position in the file: the number of bytes received, including those before [`Client::resume`].
    ///
    /// ```no_run
    /// # use std::{fs::File, io::Write};
    /// # use vocalizer_client::{Client, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId, mut file: File) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut download = client.download(id, Part::Vocals).await?;
    /// while let Some(chunk) = download.next_chunk().await? {
    ///     file.write_all(&chunk)?;
    ///     println!("{} of {:?} bytes", download.position(), download.size_bytes());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.received_bytes
    }

    /// Returns the ETag for [`Client::resume`], if the server sent one by which changes can be found.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Box<dyn std::error::Error>> {
    /// let download = client.download(id, Part::Vocals).await?;
    /// match download.etag() {
    ///     Some(etag) => std::fs::write("vocals.etag", etag)?,
    ///     None => println!("after an interruption, the download starts again"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.source.etag()
    }

    /// Returns the media type, if the server sent it.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// // The uploaded file, in its own format.
    /// let song = client.download(id, Part::Song).await?;
    /// let is_mp3 = song.content_type() == Some("audio/mpeg");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.source.content_type()
    }

    /// Returns the size in bytes, if the server sent it.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Format, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId, free_bytes: u64) -> Result<(), Error> {
    /// let download = client.download(id, (Part::Vocals, Format::Wav)).await?;
    /// if let Some(size_bytes) = download.size_bytes().filter(|&size_bytes| size_bytes > free_bytes) {
    ///     println!("{size_bytes} bytes do not fit");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn size_bytes(&self) -> Option<u64> {
        self.source.size_bytes
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// ```no_run
    /// # use std::io::Write;
    /// # use vocalizer_client::{Client, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut vocals = client.download(id, Part::Vocals).await?;
    /// while let Some(chunk) = vocals.next_chunk().await? {
    ///     std::io::stdout().write_all(&chunk)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] or [`Error::TimedOut`] if resuming failed; [`Error::Changed`] if the file changed;
    /// [`Error::Malformed`] if the server sent a different range than requested.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// Reads the whole file into memory, at most `max_bytes`.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let download = client.download(id, Part::Vocals).await?;
    /// let name = format!("vocals-{}.mp3", download.etag().unwrap_or("new"));
    /// let mp3 = download.into_bytes(50 * 1024 * 1024).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`], and those of [`Download::next_chunk`].
    pub async fn into_bytes(mut self, max_bytes: u64) -> Result<Bytes, Error> {
        if self.size_bytes().is_some_and(|size_bytes| size_bytes > max_bytes) {
            return Err(Error::Limit { max_bytes });
        }
        let mut whole = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if (whole.len() + chunk.len()) as u64 > max_bytes {
                return Err(Error::Limit { max_bytes });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// Polls the body, with a timeout.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let State::Reading { body, skip_bytes } = &mut self.state else { return Poll::Ready(Ok(None)) };
        while let Poll::Ready(read) = body.as_mut().poll_next(cx) {
            self.idle.set(sleep(self.source.timeout()));
            let Some(mut chunk) = read.transpose().map_err(Error::from_reqwest)? else { return Poll::Ready(Ok(None)) };
            let skipped = usize::try_from(*skip_bytes).map_or(chunk.len(), |skip| skip.min(chunk.len()));
            chunk.advance(skipped);
            *skip_bytes -= skipped as u64;
            if !chunk.is_empty() {
                self.received_bytes += chunk.len() as u64;
                return Poll::Ready(Ok(Some(chunk)));
            }
        }
        self.idle.as_mut().poll(cx).map(|()| Err(Error::TimedOut))
    }

    /// Starts to resume after an error. Returns the error if that is not possible.
    fn resume(&mut self, error: Error) -> Result<(), Error> {
        if self.received_bytes - self.counted_from_bytes >= PROGRESS_BYTES {
            self.retry.reset();
            self.counted_from_bytes = self.received_bytes;
        }
        // After a change, resuming cannot succeed.
        let may_help = self.source.can_resume() && !matches!(error, Error::Changed);
        let pause = may_help.then(|| self.retry.after(&error)).flatten();
        let Some(pause) = pause else { return Err(error) };
        let (source, from) = (self.source.clone(), self.received_bytes);
        self.state = State::Reopening(Box::pin(async move {
            sleep(pause).await;
            source.reopen(from).await
        }));
        Ok(())
    }
}

impl Stream for Download {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let failed = match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Reading { .. } => match ready!(self.poll_body(cx)) {
                    Ok(Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                    Ok(None) => {
                        self.state = State::Ended;
                        return Poll::Ready(None);
                    }
                    Err(error) => error,
                },
                State::Reopening(opened) => match ready!(opened.as_mut().poll(cx)) {
                    Ok(Opened { response, skip_bytes }) => {
                        self.state = State::reading(response, skip_bytes);
                        let timeout = self.source.timeout();
                        self.idle.set(sleep(timeout));
                        continue;
                    }
                    Err(error) => error,
                },
            };
            if let Err(error) = self.resume(failed) {
                self.state = State::Ended;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("size_bytes", &self.size_bytes()).finish_non_exhaustive()
    }
}
