//! Connections, taken until it is time to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::settings::Patience;

/// A connection that does not wait for ever for its client to read.
pub(crate) type Connected = Pin<Box<TimeoutStream<TcpStream>>>;

/// Gives every connection to `connect`, which says how it is served and what goes when it ends, until `stop` ends; then
/// takes no new ones, calls `closing`, and lets open requests end for a while.
pub(crate) async fn accept<C, G>(
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    patience: Patience,
    connect: impl Fn(Connected, SocketAddr) -> (C, G),
    closing: impl FnOnce(),
) where
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
    G: Send + 'static,
{
    let graceful = GracefulShutdown::new();
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
                let watcher = graceful.watcher();
                let (served, goes_with_it) = connect(Box::pin(stream), peer);
                tokio::spawn(async move {
                    let ended = watcher.watch(served).await;
                    drop(goes_with_it);
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
