//! Uploads.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, ready};
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;
use vocalizer_api::id::SongId;

use crate::flow::{Blocks, ByteStream, Progress, ProgressStream, Slices, StallTimer};
use crate::{Error, SplitWith};

/// The size of a part of a resumable upload: below the usual limits of proxies, which may keep a whole part before they forward it.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// A song to upload: its title, and its bytes from a file, from memory or from a stream.
///
/// The server detects the format from the bytes, not from the file name. Quotes, backslashes and control characters in
/// the name are sent as `_`.
///
/// ```
/// use vocalizer_client::Upload;
///
/// let upload = Upload::from_path("Clair de lune", "clair.flac")
///     .with_progress(|sent_bytes, size_bytes| println!("{sent_bytes} of {size_bytes:?} bytes"));
/// ```
#[must_use]
pub struct Upload {
    id: SongId,
    title: String,
    file_name: String,
    source: Content,
    progress: Option<Progress>,
    refuses_duplicates: bool,
    with: SplitWith,
}

enum Content {
    Path(PathBuf),
    Bytes(Bytes),
    /// A stream that can be read once; `None` after that.
    Stream {
        stream: Option<ByteStream>,
        size_bytes: Option<u64>,
    },
    Factory {
        factory: Factory,
        size_bytes: Option<u64>,
    },
}

/// Opens a stream again for each attempt.
type Factory = Box<dyn FnMut() -> BoxFuture<'static, io::Result<ByteStream>> + Send>;

impl Upload {
    /// Uploads a file, which is read while it is sent.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use vocalizer_client::Upload;
    ///
    /// let path = Path::new("music/Clair de lune.flac");
    /// let title = path.file_stem().unwrap_or_default().to_string_lossy();
    /// let upload = Upload::from_path(title, path);
    /// ```
    pub fn from_path(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self::new(title.into(), file_name, Content::Path(path.to_owned()))
    }

    /// Uploads bytes from memory.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Upload};
    /// # fn record() -> Vec<u8> { Vec::new() }
    /// # async fn demo(client: &Client) -> Result<(), Error> {
    /// let take: Vec<u8> = record();
    /// let song = client.upload(Upload::from_bytes("Take 3", "take-3.wav", take)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_bytes(title: impl Into<String>, file_name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(title.into(), file_name.into(), Content::Bytes(bytes.into()))
    }

    /// Uploads a stream. It can be read once, so the upload is not retried: see [`Upload::from_stream_factory`]. With a
    /// known size, a too large upload is rejected before it is sent.
    ///
    /// ```no_run
    /// # use futures_util::TryStreamExt;
    /// # use vocalizer_client::{Client, Upload, reqwest};
    /// # async fn demo(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let response = reqwest::get("https://music.example/clair.flac").await?.error_for_status()?;
    /// let size_bytes = response.content_length();
    /// let stream = response.bytes_stream().map_err(std::io::Error::other);
    /// let song = client.upload(Upload::from_stream("Clair de lune", "clair.flac", size_bytes, stream)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_stream<S>(
        title: impl Into<String>,
        file_name: impl Into<String>,
        size_bytes: Option<u64>,
        stream: S,
    ) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        Self::new(title.into(), file_name.into(), Content::Stream { stream: Some(Box::pin(stream)), size_bytes })
    }

    /// Uploads a stream that `open` opens for each attempt, so that the upload can be retried.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use futures_util::stream;
    /// use vocalizer_client::Upload;
    ///
    /// let upload = Upload::from_stream_factory("Clair de lune", "clair.flac", Some(8), || async {
    ///     Ok(stream::iter([Ok(Bytes::from_static(b"fLaC")), Ok(Bytes::from_static(b"...."))]))
    /// });
    /// ```
    pub fn from_stream_factory<S, F>(
        title: impl Into<String>,
        file_name: impl Into<String>,
        size_bytes: Option<u64>,
        mut open: impl FnMut() -> F + Send + 'static,
    ) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
    {
        let factory: Factory = Box::new(move || {
            let opened = open();
            Box::pin(async move { Ok(Box::pin(opened.await?) as ByteStream) })
        });
        Self::new(title.into(), file_name.into(), Content::Factory { factory, size_bytes })
    }

    fn new(title: String, file_name: String, source: Content) -> Self {
        Self {
            id: SongId::random(),
            title,
            file_name,
            source,
            progress: None,
            refuses_duplicates: false,
            with: SplitWith::default(),
        }
    }

    /// Sets the song's ID. The default is a new one for each `Upload`.
    ///
    /// Repeating an upload with the same ID and the same bytes makes one song, also in another process: store the ID
    /// before the upload to find the song after a crash.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, SongId, Upload};
    /// # async fn demo(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let upload = Upload::from_path("Clair de lune", "clair.flac");
    /// std::fs::write("upload.id", upload.id().to_string())?;
    /// client.upload(upload).await?;
    ///
    /// // After a crash: this makes no second song.
    /// let id: SongId = std::fs::read_to_string("upload.id")?.parse()?;
    /// client.upload(Upload::from_path("Clair de lune", "clair.flac").with_id(id)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_id(self, id: SongId) -> Self {
        Self { id, ..self }
    }

    /// Returns the ID that the song will have, if the server supports it
    /// ([`LimitsView::upload_ids`](crate::LimitsView)).
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Upload};
    /// # async fn demo(client: &Client) -> Result<(), Error> {
    /// let upload = Upload::from_path("Clair de lune", "clair.flac");
    /// let id = upload.id();
    /// if let Err(error) = client.upload(upload).await {
    ///     // Perhaps only the response was lost.
    ///     let is_there = client.song(id).await.is_ok();
    ///     println!("{error}; the song {}", if is_there { "is on the server" } else { "must be uploaded again" });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn id(&self) -> SongId {
        self.id
    }

    /// Fails with [`Error::duplicate`] if the user has uploaded the same file before. Anonymous uploads are not compared.
    ///
    /// ```
    /// # use vocalizer_client::{Secret, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # let first = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?;
    /// let upload = Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes").refusing_duplicates();
    /// let song = match client.upload(upload).await {
    ///     Ok(song) => song,
    ///     Err(error) => client.song(error.duplicate().ok_or(error)?).await?,
    /// };
    /// # assert_eq!(song.id, first.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn refusing_duplicates(self) -> Self {
        Self { refuses_duplicates: true, ..self }
    }

    /// Sets the model and the stems. Servers of the original system ignore them.
    ///
    /// ```
    /// use vocalizer_client::{SplitWith, Upload};
    ///
    /// let upload = Upload::from_path("Clair de lune", "clair.mp3").split_with(SplitWith::model("best"));
    /// # let _ = upload;
    /// ```
    pub fn split_with(self, with: SplitWith) -> Self {
        Self { with, ..self }
    }

    /// Calls `progress` repeatedly with the bytes sent so far, and the size if it is known.
    ///
    /// Sent bytes may still be in a buffer of the connection.
    ///
    /// ```
    /// use vocalizer_client::Upload;
    ///
    /// let upload = Upload::from_path("Clair de lune", "clair.flac").with_progress(|sent_bytes, size_bytes| {
    ///     if let Some(size_bytes) = size_bytes {
    ///         eprint!("\r{} %", 100 * sent_bytes / size_bytes.max(1));
    ///     }
    /// });
    /// ```
    pub fn with_progress(self, progress: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        Self { progress: Some(Arc::new(Mutex::new(progress))), ..self }
    }

    /// Returns whether it can be sent again.
    pub(crate) const fn is_repeatable(&self) -> bool {
        !matches!(self.source, Content::Stream { .. })
    }

    /// Returns the size, if it is known.
    pub(crate) async fn size_bytes(&mut self) -> Result<Option<u64>, Error> {
        // `&mut`, although it only reads: streams are not `Sync`, so a future with `&self` could not be spawned.
        match &self.source {
            Content::Bytes(bytes) => Ok(Some(bytes.len() as u64)),
            Content::Stream { size_bytes, .. } | Content::Factory { size_bytes, .. } => Ok(*size_bytes),
            Content::Path(path) => match tokio::fs::metadata(path).await {
                Ok(metadata) => Ok(Some(metadata.len())),
                Err(source) => Err(Error::File { path: path.clone(), source }),
            },
        }
    }

    /// Returns a form for one attempt, with the ID if the server supports it, and its stall timer.
    pub(crate) async fn form(
        &mut self,
        has_id: bool,
        stall_timeout: Duration,
        timeout: Duration,
    ) -> Result<(Form, StallTimer), Error> {
        let (stream, size_bytes): (ByteStream, _) = match &mut self.source {
            Content::Bytes(bytes) => (Box::pin(Slices::new(bytes.clone())), Some(bytes.len() as u64)),
            Content::Stream { stream, size_bytes } => {
                let stream =
                    stream.take().ok_or_else(|| Error::Source(io::Error::other("the stream was already read")))?;
                (stream, *size_bytes)
            }
            Content::Factory { factory, size_bytes } => (factory().await.map_err(Error::Source)?, *size_bytes),
            Content::Path(path) => {
                let opened = open(path).await;
                let (file, size_bytes) = opened.map_err(|source| Error::File { path: path.clone(), source })?;
                (Box::pin(Blocks::new(file, size_bytes)), Some(size_bytes))
            }
        };
        let timer = StallTimer::new(stall_timeout, timeout);
        let body = Body::wrap_stream(ProgressStream::new(stream, size_bytes, self.progress.clone(), &timer));
        let file = match size_bytes {
            Some(size_bytes) => Part::stream_with_length(body, size_bytes),
            None => Part::stream(body),
        };
        // The HTTP library escapes line breaks with a backslash, so a name could still inject headers.
        let file_name = self.file_name.replace(|c: char| c.is_control() || matches!(c, '"' | '\\'), "_");
        let file = file.file_name(file_name).mime_str("application/octet-stream").map_err(Error::from_reqwest)?;
        let mut form = Form::new().text("title", self.title.clone());
        if self.refuses_duplicates {
            form = form.text("duplicates", "refuse");
        }
        for (name, text) in self.with.fields() {
            form = form.text(name, text);
        }
        if has_id {
            form = form.text("id", self.id.to_string());
        }
        Ok((form.part("file", file), timer))
    }

    /// Returns what a resumable upload tells about the song.
    pub(crate) fn metadata(&self) -> String {
        let id = self.id.to_string();
        let with = self.with.fields();
        let mut fields = vec![("title", &*self.title), ("filename", &*self.file_name), ("id", &*id)];
        if self.refuses_duplicates {
            fields.push(("duplicates", "refuse"));
        }
        fields.extend(with.iter().map(|(name, text)| (*name, text.as_str())));
        let pairs = fields.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// Returns the body with the next part of the file from `start`, its size, and its stall timer.
    pub(crate) async fn part(
        &mut self,
        start: u64,
        size_bytes: u64,
        stall_timeout: Duration,
        timeout: Duration,
    ) -> Result<(Body, u64, StallTimer), Error> {
        let left_bytes = size_bytes.saturating_sub(start);
        let mut part_bytes = left_bytes.min(PART_BYTES);
        let stream: ByteStream = match &mut self.source {
            Content::Bytes(bytes) => {
                let at = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
                Box::pin(Slices::new(bytes.slice(at(start)..at(start + part_bytes))))
            }
            Content::Path(path) => {
                let opened = async {
                    let (mut file, found_bytes) = open(path).await?;
                    if found_bytes != size_bytes {
                        return Err(io::Error::other("the file changed during the upload"));
                    }
                    file.seek(io::SeekFrom::Start(start)).await?;
                    Ok(file)
                };
                let file = opened.await.map_err(|source| Error::File { path: path.clone(), source })?;
                Box::pin(Blocks::new(file, part_bytes))
            }
            Content::Factory { factory, .. } => {
                // All at once: each part would read the stream from its beginning.
                part_bytes = left_bytes;
                skip(factory().await.map_err(Error::Source)?, start)
            }
            Content::Stream { .. } => return Err(Error::Source(io::Error::other("the stream cannot be read again"))),
        };
        let timer = StallTimer::new(stall_timeout, timeout);
        let stream = ProgressStream::new(stream, Some(part_bytes), self.progress.clone(), &timer);
        Ok((Body::wrap_stream(stream.of_file(start, size_bytes)), part_bytes, timer))
    }

    /// Converts an error of the source.
    pub(crate) fn source_error(&self, source: io::Error) -> Error {
        match &self.source {
            Content::Path(path) => Error::File { path: path.clone(), source },
            _ => Error::Source(source),
        }
    }
}

/// Shows the source of the bytes, not the bytes.
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Content::Path(path) => path.display().to_string(),
            Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Content::Stream { size_bytes: Some(size_bytes), .. }
            | Content::Factory { size_bytes: Some(size_bytes), .. } => {
                format!("a stream of {size_bytes} bytes")
            }
            Content::Stream { size_bytes: None, .. } | Content::Factory { size_bytes: None, .. } => {
                "a stream".to_owned()
            }
        };
        f.debug_struct("Upload")
            .field("id", &self.id)
            .field("title", &self.title)
            .field("file_name", &self.file_name)
            .field("source", &source)
            .finish_non_exhaustive()
    }
}

async fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    // On Unix a folder can be opened, but reading it would fail during the upload.
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file, metadata.len()))
}

/// Returns a stream without its first bytes.
fn skip(stream: ByteStream, mut left_bytes: u64) -> ByteStream {
    Box::pin(stream.filter_map(move |block| {
        let rest = block.map(|mut block| {
            let len = usize::try_from(left_bytes).map_or(block.len(), |left| left.min(block.len()));
            left_bytes -= len as u64;
            block.split_off(len)
        });
        ready((!rest.as_ref().is_ok_and(Bytes::is_empty)).then_some(rest))
    }))
}
