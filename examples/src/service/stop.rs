//! Shutdown signals.

use std::io;

use tokio::sync::watch;

/// Returns a value that becomes `true` on Ctrl-C or `SIGTERM`. A second signal exits at once.
pub(super) fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.wait().await;
        tracing::info!("shutting down; a second signal exits immediately");
        sender.send_replace(true);
        signals.wait().await;
        std::process::exit(130);
    });
    Ok(receiver)
}

/// Resolves when `stop` becomes `true`.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender lives as long as the process; without it there is nothing to wait for.
    let _ = stop.wait_for(|stop| *stop).await;
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
