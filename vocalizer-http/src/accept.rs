//! The accept loop.

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

use crate::body::{Body, RequestBody, full};
use crate::caps::Connections;
use crate::failure::Failure;
use crate::settings::Timeouts;

/// A connection with a write timeout.
pub(crate) type Connected = Pin<Box<TimeoutStream<TcpStream>>>;

/// Maximum size of a request head, and of the read buffer of each connection.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Maximum number of concurrent 503 responses to connections above the caps. Further connections are closed silently.
const MAX_REFUSALS: usize = 256;

/// Timeout for such a response.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts connections until `stop` completes.
///
/// `connect` returns the future that serves a connection and a guard that is dropped when it ends. On stop, the loop
/// closes the listener, calls `closing` and waits up to `timeouts.shutdown` for open requests. Connections above the
/// caps get 503.
pub(crate) async fn accept<C, G>(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    timeouts: Timeouts,
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
                // Send small responses at once. Failure only costs latency.
                let _ = stream.set_nodelay(true);
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(timeouts.write));
                let stream = Box::pin(stream);
                let Some(admitted) = connections.admit(peer.ip()) else {
                    tracing::debug!(%peer, "connection refused: above the caps");
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        tokio::spawn(async move {
                            refuse(stream, timeouts).await;
                            drop(permit);
                        });
                    }
                    continue;
                };
                let watcher = graceful.watcher();
                let (served, guard) = connect(stream, peer);
                tokio::spawn(async move {
                    let ended = watcher.watch(served).await;
                    drop((guard, admitted));
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection failed");
                    }
                });
            }
            Err(error) => {
                // Usually too many open files. Wait for some connections to end.
                tracing::warn!(%error, "accept failed; retrying");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    closing();
    if timeout(timeouts.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!("shutdown timed out; open requests aborted");
    }
}

/// Responds to the first request with 503 and closes the connection.
async fn refuse(stream: Connected, timeouts: Timeouts) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| async move {
        // Dropping it drains the body briefly, so that a client that is still sending can read the response.
        let (head, body) = request.into_parts();
        drop(RequestBody::new(body.map_err(Into::into).boxed(), &head.headers, timeouts));
        let mut response: Response<Body> =
            Failure::busy("too many open connections; try again later").into_response().map(full);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REFUSAL_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // Nothing to do if the client has left or is too slow.
    let _ = timeout(REFUSAL_TIMEOUT, served).await;
}
