//! Upload streams with progress and a stall timeout.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::Error;

/// Block size: small enough for smooth progress, large enough for low overhead.
const BLOCK_BYTES: usize = 64 * 1024;

/// Called with the bytes sent so far, and the size if it is known.
pub(crate) type Progress = Arc<Mutex<dyn FnMut(u64, Option<u64>) + Send>>;

/// A stream of bytes.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The stall timeout of an upload, and the error of its source. Every sent block moves the deadline.
pub(crate) struct StallTimer {
    deadline: Arc<Mutex<Instant>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    stall_timeout: Duration,
    timeout: Duration,
}

impl StallTimer {
    pub(crate) fn new(stall_timeout: Duration, timeout: Duration) -> Self {
        let deadline = Arc::new(Mutex::new(Instant::now() + stall_timeout));
        Self { deadline, failure: Arc::default(), stall_timeout, timeout }
    }

    /// Returns the error of the source, if it failed.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the response until the moving deadline.
    pub(crate) async fn watch<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut answer = pin!(answer);
        let mut alarm = pin!(sleep_until(self.deadline()));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            loop {
                ready!(alarm.as_mut().poll(cx));
                let deadline = self.deadline();
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(Error::TimedOut));
                }
                alarm.as_mut().reset(deadline);
            }
        })
        .await
    }

    fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload stream that reports progress and moves the deadline.
pub(crate) struct ProgressStream {
    stream: ByteStream,
    /// Where the stream ends, if it is known.
    size_bytes: Option<u64>,
    /// The size that is reported.
    total_bytes: Option<u64>,
    sent_bytes: u64,
    progress: Option<Progress>,
    deadline: Arc<Mutex<Instant>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    stall_timeout: Duration,
    timeout: Duration,
}

impl ProgressStream {
    pub(crate) fn new(
        stream: ByteStream,
        size_bytes: Option<u64>,
        progress: Option<Progress>,
        timer: &StallTimer,
    ) -> Self {
        let StallTimer { ref deadline, ref failure, stall_timeout, timeout } = *timer;
        let (deadline, failure) = (Arc::clone(deadline), Arc::clone(failure));
        let total_bytes = size_bytes;
        Self { stream, size_bytes, total_bytes, sent_bytes: 0, progress, deadline, failure, stall_timeout, timeout }
    }

    /// Makes the stream the part of a file of this size that begins at `start`.
    pub(crate) fn of_file(self, start: u64, total_bytes: u64) -> Self {
        let size_bytes = self.size_bytes.map(|size_bytes| start + size_bytes);
        Self { size_bytes, total_bytes: Some(total_bytes), sent_bytes: start, ..self }
    }
}

impl Stream for ProgressStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next = ready!(self.stream.as_mut().poll_next(cx));
        let len = next.as_ref().map_or(0, |block| block.as_ref().map_or(0, |block| block.len() as u64));
        match self.size_bytes {
            Some(size_bytes) if self.sent_bytes + len > size_bytes => {
                next = Some(Err(io::Error::new(io::ErrorKind::InvalidData, "it has more bytes than announced")));
            }
            Some(size_bytes) if next.is_none() && self.sent_bytes < size_bytes => {
                next = Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has fewer bytes than announced")));
            }
            _ => {}
        }
        if let Some(Err(error)) = &mut next {
            // The HTTP library reports it as an error of the connection.
            let error = std::mem::replace(error, io::ErrorKind::Other.into());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        if let Some(Ok(block)) = &next {
            self.sent_bytes += block.len() as u64;
            let (sent_bytes, total_bytes) = (self.sent_bytes, self.total_bytes);
            if let Some(progress) = &self.progress {
                (progress.lock().unwrap_or_else(PoisonError::into_inner))(sent_bytes, total_bytes);
            }
        }
        // After the last byte, the response is pending. A body with a known length is not polled to its end.
        let is_done = next.is_none() || self.size_bytes.is_some_and(|size_bytes| self.sent_bytes >= size_bytes);
        let allowed = if is_done { self.timeout.max(self.stall_timeout) } else { self.stall_timeout };
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + allowed;
        Poll::Ready(next)
    }
}

/// Bytes in memory as a stream of blocks.
pub(crate) struct Slices(Bytes);

impl Slices {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Stream for Slices {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let len = self.0.len().min(BLOCK_BYTES);
        Poll::Ready((len > 0).then(|| Ok(self.0.split_to(len))))
    }
}

/// A file as a stream of blocks, limited to its size at opening, which is the announced length.
pub(crate) struct Blocks {
    file: File,
    left_bytes: u64,
    block: Box<[u8]>,
}

impl Blocks {
    pub(crate) fn new(file: File, size_bytes: u64) -> Self {
        Self { file, left_bytes: size_bytes, block: vec![0; BLOCK_BYTES].into() }
    }
}

impl Stream for Blocks {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { file, left_bytes, block } = self.get_mut();
        let len = usize::try_from(*left_bytes).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
        if len == 0 {
            return Poll::Ready(None);
        }
        let mut read = ReadBuf::new(&mut block[..len]);
        if let Err(error) = ready!(Pin::new(file).poll_read(cx, &mut read)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = read.filled();
        *left_bytes -= read.len() as u64;
        Poll::Ready(Some(match read {
            [] => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated during the upload")),
            read => Ok(Bytes::copy_from_slice(read)),
        }))
    }
}
