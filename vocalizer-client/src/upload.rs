//! Uploads.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use tokio::fs::File;

use crate::Error;
use crate::flow::{Blocks, ByteStream, Progress, ProgressStream, Slices, StallTimer};

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
    title: String,
    file_name: String,
    source: Content,
    progress: Option<Progress>,
}

enum Content {
    Path(PathBuf),
    Bytes(Bytes),
    Stream { stream: ByteStream, size_bytes: Option<u64> },
}

impl Upload {
    /// Uploads a file, which is read while it is sent.
    pub fn from_path(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self::new(title.into(), file_name, Content::Path(path.to_owned()))
    }

    /// Uploads bytes from memory.
    pub fn from_bytes(title: impl Into<String>, file_name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(title.into(), file_name.into(), Content::Bytes(bytes.into()))
    }

    /// Uploads a stream. With a known size, the server can reject a too large upload before it is sent.
    pub fn from_stream<S>(
        title: impl Into<String>,
        file_name: impl Into<String>,
        size_bytes: Option<u64>,
        stream: S,
    ) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        Self::new(title.into(), file_name.into(), Content::Stream { stream: Box::pin(stream), size_bytes })
    }

    const fn new(title: String, file_name: String, source: Content) -> Self {
        Self { title, file_name, source, progress: None }
    }

    /// Calls `progress` repeatedly with the bytes sent so far, and the size if it is known.
    ///
    /// Sent bytes may still be in a buffer of the connection.
    pub fn with_progress(self, progress: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    /// Converts it into a form and its stall timer.
    pub(crate) async fn into_form(
        self,
        stall_timeout: Duration,
        timeout: Duration,
    ) -> Result<(Form, StallTimer), Error> {
        let (stream, size_bytes): (ByteStream, _) = match self.source {
            Content::Bytes(bytes) => {
                let size_bytes = bytes.len() as u64;
                (Box::pin(Slices::new(bytes)), Some(size_bytes))
            }
            Content::Stream { stream, size_bytes } => (stream, size_bytes),
            Content::Path(path) => {
                let (file, size_bytes) = open(&path).await.map_err(|source| Error::File { path, source })?;
                (Box::pin(Blocks::new(file, size_bytes)), Some(size_bytes))
            }
        };
        let timer = StallTimer::new(stall_timeout, timeout);
        let body = Body::wrap_stream(ProgressStream::new(stream, size_bytes, self.progress, &timer));
        let file = match size_bytes {
            Some(size_bytes) => Part::stream_with_length(body, size_bytes),
            None => Part::stream(body),
        };
        // The HTTP library escapes line breaks with a backslash, so a name could still inject headers.
        let file_name = self.file_name.replace(|c: char| c.is_control() || matches!(c, '"' | '\\'), "_");
        let file = file.file_name(file_name).mime_str("application/octet-stream").map_err(Error::from_reqwest)?;
        Ok((Form::new().text("title", self.title).part("file", file), timer))
    }
}

/// Shows the source of the bytes, not the bytes.
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Content::Path(path) => path.display().to_string(),
            Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Content::Stream { size_bytes: Some(size_bytes), .. } => format!("a stream of {size_bytes} bytes"),
            Content::Stream { size_bytes: None, .. } => "a stream".to_owned(),
        };
        f.debug_struct("Upload")
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
