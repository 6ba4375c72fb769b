//! Shutdown signals.

use std::io;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

/// Returns a future that completes when the program is asked to stop: at Ctrl-C or, on Unix, `SIGTERM`. A second signal ends
/// the process at once, with exit code 130. Clone it for several workers and servers.
///
/// Signals count from this call on, even if the future is not polled. It needs a tokio runtime with the I/O driver.
///
/// ```no_run
/// use vocalizer_core::worker::Worker;
/// use vocalizer_store::system::stop_signal;
///
/// # async fn run(worker: Worker) -> std::io::Result<()> {
/// worker.run(stop_signal()?).await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the signal handlers cannot be installed.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Clone + Send + Unpin + 'static> {
    let (asked, stop) = oneshot::channel();
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.wait().await;
        tracing::info!("shutting down; a second signal exits immediately");
        let _ = asked.send(());
        signals.wait().await;
        std::process::exit(130);
    });
    // An error means that the runtime shuts down.
    Ok(stop.map(drop).shared())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
