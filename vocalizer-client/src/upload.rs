//! What is to be uploaded.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_core::Stream;
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use tokio::fs::File;

use crate::Error;

/// A song to be uploaded: its title, and its bytes from a file, from memory or from elsewhere.
///
/// Any format the server knows will do; it looks at the bytes and not at the name. In the name, quotes, backslashes and
/// control characters are sent as `_`.
pub struct Upload {
    title: String,
    file_name: String,
    source: Source,
}

enum Source {
    Path(PathBuf),
    Bytes(Bytes),
    Stream { body: Body, size_bytes: Option<u64> },
}

impl Upload {
    /// A file, read while it is sent.
    #[must_use]
    pub fn from_path(title: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { title: title.into(), file_name, source: Source::Path(path.to_owned()) }
    }

    /// A file that is in memory.
    #[must_use]
    pub fn from_bytes(title: impl Into<String>, file_name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { title: title.into(), file_name: file_name.into(), source: Source::Bytes(bytes.into()) }
    }

    /// A file that comes from elsewhere, sent as it comes in. With its size, where it is known, a server can refuse what
    /// is too large before it is sent.
    #[must_use]
    pub fn from_stream<S>(
        title: impl Into<String>,
        file_name: impl Into<String>,
        size_bytes: Option<u64>,
        stream: S,
    ) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let source = Source::Stream { body: Body::wrap_stream(stream), size_bytes };
        Self { title: title.into(), file_name: file_name.into(), source }
    }

    pub(crate) async fn into_form(self) -> Result<Form, Error> {
        let file = match self.source {
            Source::Bytes(bytes) => {
                let size_bytes = bytes.len() as u64;
                Part::stream_with_length(Body::from(bytes), size_bytes)
            }
            Source::Stream { body, size_bytes: Some(size_bytes) } => Part::stream_with_length(body, size_bytes),
            Source::Stream { body, size_bytes: None } => Part::stream(body),
            Source::Path(path) => {
                let (file, size_bytes) = open(&path).await.map_err(|source| Error::File { path, source })?;
                Part::stream_with_length(Body::from(file), size_bytes)
            }
        };
        // The HTTP library escapes line breaks with a backslash, which leaves them in the header: a name could end it.
        let file_name = self.file_name.replace(|c: char| c.is_control() || matches!(c, '"' | '\\'), "_");
        let file = file.file_name(file_name).mime_str("application/octet-stream").map_err(Error::sending)?;
        Ok(Form::new().text("title", self.title).part("file", file))
    }
}

/// Says where the bytes come from and not which they are.
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Path(path) => path.display().to_string(),
            Source::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Source::Stream { size_bytes: Some(size_bytes), .. } => format!("a stream of {size_bytes} bytes"),
            Source::Stream { size_bytes: None, .. } => "a stream".to_owned(),
        };
        f.debug_struct("Upload")
            .field("title", &self.title)
            .field("file_name", &self.file_name)
            .field("source", &source)
            .finish()
    }
}

async fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    // Opening a folder works on Unix; reading it would fail in the middle of the upload.
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file, metadata.len()))
}
