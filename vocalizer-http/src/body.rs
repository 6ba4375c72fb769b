//! Request bodies with timeouts, and streamed response bodies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::{HeaderMap, header};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::Span;
use vocalizer_core::api::ErrorCode;
use vocalizer_core::ports::{BlobError, BlobStream, BoxError};

use crate::failure::Failure;
use crate::settings::Timeouts;

/// A response body.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A request body.
pub(crate) type Incoming = BoxBody<Bytes, BoxError>;

/// How long the rest of a rejected request is read and discarded. Some clients read the response only after they have sent
/// everything, and closing the connection earlier would destroy the response.
const MAX_DRAIN: Duration = Duration::from_secs(20);

/// How long a rejected client that expects `100 Continue` may take to begin its body without it.
const MAX_UNASKED: Duration = Duration::from_secs(1);

/// A body from bytes in memory.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body from a stream of chunks, which is read as fast as the client reads.
pub(crate) fn stream<E>(chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body
where
    E: Into<BoxError> + 'static,
{
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data).map_err(Into::into))).boxed_unsync()
}

/// Like [`stream`]. `guard` is dropped with the body: after it was sent, or when the client disconnects.
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

/// Polls the body in the span of its request, so that log lines have the request id.
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

/// A request body as a stream of bytes. It ends with a [`Failure`] if no data arrives within `body_silence`, or if the
/// average rate is too low. If it is dropped early, the rest is drained in the background.
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    timeouts: Timeouts,
    began: Instant,
    received_bytes: u64,
    silence: Pin<Box<Sleep>>,
    expects_continue: bool,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, headers: &HeaderMap, timeouts: Timeouts) -> Self {
        let began = Instant::now();
        let silence = Box::pin(sleep_until(began + timeouts.body_silence));
        let expects_continue = headers.contains_key(header::EXPECT);
        Self { body: Some(body), timeouts, began, received_bytes: 0, silence, expects_continue }
    }

    /// Reads the whole body, at most `max_bytes`.
    pub(crate) async fn whole(mut self, max_bytes: usize) -> Result<Bytes, Failure> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await.transpose()? {
            if whole.len() + chunk.len() > max_bytes {
                return Err(Failure::new(
                    ErrorCode::TooLarge,
                    format!("the request body is larger than {max_bytes} bytes"),
                ));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// Converts it into a stream for the core. Its errors carry the [`Failure`].
    pub(crate) fn into_blob_stream(self) -> BlobStream {
        self.map(|chunk| chunk.map_err(|failure| BlobError::Unavailable(failure.into()))).boxed()
    }

    fn too_slow(&self) -> bool {
        let so_far = self.began.elapsed();
        so_far > self.timeouts.body_grace
            && self.received_bytes < self.timeouts.body_bytes_per_s.saturating_mul(so_far.as_secs())
    }
}

fn timed_out() -> Failure {
    Failure::new(ErrorCode::Timeout, "request timed out: the body arrived too slowly")
}

impl Stream for RequestBody {
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
                    let failure = Failure::new(ErrorCode::Malformed, "request body incomplete");
                    return Poll::Ready(Some(Err(failure.with_private(vocalizer_core::causes::chain(error.as_ref())))));
                }
                Some(Ok(frame)) => {
                    // Trailers are ignored.
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.received_bytes += bytes.len() as u64;
                    if self.too_slow() {
                        self.body = None;
                        return Poll::Ready(Some(Err(timed_out())));
                    }
                    let silence = Instant::now() + self.timeouts.body_silence;
                    self.silence.as_mut().reset(silence);
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        if body.is_end_stream() {
            return;
        }
        // A client that waits for `100 Continue` sends nothing now, but some do not wait.
        let may_wait = self.expects_continue && self.received_bytes == 0;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if may_wait && !matches!(timeout(MAX_UNASKED, body.frame()).await, Ok(Some(Ok(_)))) {
                    return;
                }
                let _ = timeout(MAX_DRAIN, async { while let Some(Ok(_)) = body.frame().await {} }).await;
            });
        }
    }
}
