//! Connections, taken until it is time to stop.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::body::{Body, Incomings, full};
use crate::caps::Connections;
use crate::failure::Failure;
use crate::settings::Patience;

/// A connection that does not wait for ever for its client to read.
pub(crate) type Connected = Pin<Box<TimeoutStream<TcpStream>>>;

/// Most bytes of a request's head, and what is read ahead of a connection: with many at once, it is what they cost.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// How many connections above the caps are answered at the same time. The others are closed without an answer.
const MAX_REFUSALS: usize = 256;

/// How long such an answer may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives every connection to `connect`, which says how it is served and what goes when it ends, until `stop` ends; then
/// takes no new ones, calls `closing`, and lets open requests end for a while. A connection above the caps is answered
/// with 503, whatever it asks for.
pub(crate) async fn accept<C, G>(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    patience: Patience,
    connections: &Connections,
    connect: impl Fn(Connected, SocketAddr) -> (C, G),
    closing: impl FnOnce(),
) where
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
    G: Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small answers should not wait for more to come; where that cannot be set they wait.
                let _ = stream.set_nodelay(true);
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(patience.write));
                let stream = Box::pin(stream);
                let Some(admitted) = connections.admit(peer.ip()) else {
                    tracing::debug!(%peer, "a connection is above the caps");
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        tokio::spawn(async move {
                            refuse(stream, patience).await;
                            drop(permit);
                        });
                    }
                    continue;
                };
                let watcher = graceful.watcher();
                let (served, goes_with_it) = connect(stream, peer);
                tokio::spawn(async move {
                    let ended = watcher.watch(served).await;
                    drop((goes_with_it, admitted));
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "a connection broke");
                    }
                });
            }
            Err(error) => {
                // Too many open files, most likely: those that end make room.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    closing();
    if timeout(patience.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

/// Answers the first request with 503 and closes the connection.
async fn refuse(stream: Connected, patience: Patience) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| async move {
        // Dropped, it reads on for a moment, so that a client that is still sending hears the answer.
        drop(Incomings::new(request.into_body().map_err(Into::into).boxed(), patience));
        let mut response: Response<Body> =
            Failure::busy("the server has too many connections open").into_response().map(full);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REFUSAL_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A client that has left, or takes too long, hears nothing of it.
    let _ = timeout(REFUSAL_TIMEOUT, served).await;
}
