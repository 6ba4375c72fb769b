//! Bodies: those that come in, within a time, and those that go out, block by block.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;
use vocalizer_core::api::ErrorCode;
use vocalizer_core::ports::{BlobError, BlobStream, BoxError};

use crate::failure::Failure;
use crate::settings::Patience;

/// What goes out.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What comes in.
pub(crate) type Incoming = BoxBody<Bytes, BoxError>;

/// How much of a body that nobody wants any more is still read, so that the answer is heard: a client that is cut off
/// while it sends may not look at what came back.
const MAX_DRAIN_BYTES: u64 = 64 * 1024 * 1024;

/// And for how long.
const MAX_DRAIN: Duration = Duration::from_secs(5);

/// A body that is all there.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Chunks, read as the client takes them.
pub(crate) fn stream<E>(chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body
where
    E: Into<BoxError> + 'static,
{
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data).map_err(Into::into))).boxed_unsync()
}

/// The same. `guard` is dropped when the body is: when it has been sent, or the client has left.
pub(crate) fn guarded_stream<E>(
    chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    guard: impl Send + 'static,
) -> Body
where
    E: Into<BoxError> + 'static,
{
    stream(chunks.map(move |chunk| {
        let _ = &guard;
        chunk
    }))
}

/// A body that is sent within the span of its request, so that what is logged meanwhile has the request's identifier.
pub(crate) fn in_span(body: Body, span: Span) -> Body {
    InSpan { body, span }.boxed_unsync()
}

struct InSpan {
    body: Body,
    span: Span,
}

impl hyper::body::Body for InSpan {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, span } = &mut *self;
        span.in_scope(|| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body on its way in: a stream of bytes that ends with a [`Failure`] when nothing comes for too long, or too little.
/// Dropped before its end it is read on for a moment, unless the end is out of sight.
pub(crate) struct Incomings {
    body: Option<Incoming>,
    patience: Patience,
    began: Instant,
    came_bytes: u64,
    silence: Pin<Box<Sleep>>,
}

impl Incomings {
    pub(crate) fn new(body: Incoming, patience: Patience) -> Self {
        let began = Instant::now();
        let silence = Box::pin(sleep_until(began + patience.body_silence));
        Self { body: Some(body), patience, began, came_bytes: 0, silence }
    }

    /// All of it, if it is no more than `max_bytes`.
    pub(crate) async fn whole(mut self, max_bytes: usize) -> Result<Bytes, Failure> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await.transpose()? {
            if whole.len() + chunk.len() > max_bytes {
                return Err(Failure::new(ErrorCode::TooLarge, format!("the request has more than {max_bytes} bytes")));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// As a stream for core. Its errors carry the [`Failure`].
    pub(crate) fn into_blob_stream(self) -> BlobStream {
        self.map(|chunk| chunk.map_err(|failure| BlobError::Unavailable(failure.into()))).boxed()
    }

    fn too_slow(&self) -> bool {
        let so_far = self.began.elapsed();
        so_far > self.patience.body_grace
            && self.came_bytes < self.patience.body_bytes_per_s.saturating_mul(so_far.as_secs())
    }
}

fn timed_out() -> Failure {
    Failure::new(ErrorCode::Timeout, "the request came in too slowly")
}

impl Stream for Incomings {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    return self.silence.as_mut().poll(cx).map(|()| {
                        self.body = None;
                        Some(Err(timed_out()))
                    });
                }
            };
            match frame {
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.body = None;
                    let failure = Failure::new(ErrorCode::Malformed, "the request did not come in whole");
                    return Poll::Ready(Some(Err(failure.with_private(vocalizer_core::causes::chain(error.as_ref())))));
                }
                Some(Ok(frame)) => {
                    // Trailers mean nothing here.
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.came_bytes += bytes.len() as u64;
                    if self.too_slow() {
                        self.body = None;
                        return Poll::Ready(Some(Err(timed_out())));
                    }
                    let silence = Instant::now() + self.patience.body_silence;
                    self.silence.as_mut().reset(silence);
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

impl Drop for Incomings {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let end_in_sight = body.size_hint().upper().is_none_or(|left_bytes| left_bytes <= MAX_DRAIN_BYTES);
        if body.is_end_stream() || !end_in_sight {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let mut left_bytes = MAX_DRAIN_BYTES;
                let drained = async {
                    while let Some(Ok(frame)) = body.frame().await {
                        let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                        left_bytes = left_bytes.saturating_sub(len);
                        if left_bytes == 0 {
                            return;
                        }
                    }
                };
                let _ = tokio::time::timeout(MAX_DRAIN, drained).await;
            });
        }
    }
}
