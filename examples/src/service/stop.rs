//! When to stop.

use std::io;

use tokio::sync::watch;

/// Becomes `true` when the process is asked to end, by Ctrl-C or `SIGTERM`. Asked once more, it ends at once.
pub(super) fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut asked = Asked::new()?;
    tokio::spawn(async move {
        asked.wait().await;
        tracing::info!("stopping; once more ends at once");
        sender.send_replace(true);
        asked.wait().await;
        std::process::exit(130);
    });
    Ok(receiver)
}

/// Ends when `stop` has become `true`.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender lives as long as the process; where it does not, there is nothing to wait for.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(unix)]
struct Asked {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Asked {
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
struct Asked;

#[cfg(not(unix))]
impl Asked {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
