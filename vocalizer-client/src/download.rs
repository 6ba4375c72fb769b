//! A part on its way here.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use reqwest::Response;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tokio::time::{Sleep, sleep};

use crate::Error;

/// A part being downloaded: a [`Stream`] of its bytes, or [`Download::next_chunk`] where no stream is wanted.
///
/// It ends with an error when the connection breaks before the end, and when nothing comes for as long as the client's
/// [timeout](crate::ClientBuilder::with_timeout).
pub struct Download {
    size_bytes: Option<u64>,
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    timeout: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Download {
    pub(crate) fn new(response: Response, timeout: Duration) -> Self {
        Self {
            size_bytes: response.content_length(),
            body: Box::pin(response.bytes_stream()),
            timeout,
            silence: Box::pin(sleep(timeout)),
        }
    }

    /// How many bytes will come, where the server says so.
    #[must_use]
    pub const fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] or [`Error::TimedOut`].
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// All of it in memory, if it is no more than `max_bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`], [`Error::Transport`] or [`Error::TimedOut`].
    pub async fn into_bytes(mut self, max_bytes: u64) -> Result<Bytes, Error> {
        if self.size_bytes.is_some_and(|size_bytes| size_bytes > max_bytes) {
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

    /// All of it in a file, which is there whole or, after an error, as it was before.
    pub(crate) async fn into_file(mut self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let unfinished = Unfinished::beside(path).map_err(failed)?;
        let mut file = File::create(&unfinished.0).await.map_err(failed)?;
        while let Some(chunk) = self.next_chunk().await? {
            file.write_all(&chunk).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        drop(file);
        fs::rename(&unfinished.0, path).await.map_err(failed)
    }
}

impl Stream for Download {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(chunk) = self.body.as_mut().poll_next(cx) {
            let silence = sleep(self.timeout);
            self.silence.set(silence);
            return Poll::Ready(chunk.map(|chunk| chunk.map_err(Error::sending)));
        }
        self.silence.as_mut().poll(cx).map(|()| Some(Err(Error::TimedOut)))
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// A file under a name of its own that goes when it is dropped; renamed, it is no longer there to go.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut name = name.to_owned();
        name.push(".part");
        Ok(Self(path.with_file_name(name)))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
