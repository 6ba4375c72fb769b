//! The worker program with a fake model.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use tokio::sync::watch;
use vocalizer::service::{Loaded, WorkerArgs, worker_with};
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator, StemSet};

use super::place::{LOST, TAKES_MS};
use crate::support::stems;

/// Takes a given time and returns the same stems for every song.
struct FixedSeparator(Duration);

#[async_trait]
impl Separator for FixedSeparator {
    async fn separate(&self, mut song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        while song.next_chunk().await.map_err(|e| AudioError::Failed(e.into()))?.is_some() {}
        progress.report(10);
        tokio::time::sleep(self.0).await;
        Ok(Box::new(stems()))
    }
}

#[derive(Parser)]
struct Worker {
    #[command(flatten)]
    args: WorkerArgs,
}

/// Fails on every song and reports a device failure.
struct LostDevice(watch::Sender<bool>);

#[async_trait]
impl Separator for LostDevice {
    async fn separate(&self, _: Blob, _: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.0.send_replace(true);
        Err(AudioError::Failed("cannot compute on cuda:0: it has fallen off the bus".into()))
    }
}

/// Entry point of the child process: the whole worker except the model, configured by the same variables. Does nothing
/// as a test of its own.
#[test]
fn child_worker_entry() {
    let Ok(takes_ms) = std::env::var(TAKES_MS) else { return };
    let (failed, mut has_failed) = watch::channel(false);
    let separator: Arc<dyn Separator> = if takes_ms == LOST {
        Arc::new(LostDevice(failed))
    } else {
        Arc::new(FixedSeparator(Duration::from_millis(takes_ms.parse().unwrap())))
    };
    let device_failure = Box::pin(async move {
        if has_failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
        "it has fallen off the bus".to_owned()
    });
    let [device, precision] = ["cuda:0", "f32"].map(str::to_owned);
    let load = Box::new(move |_| Ok(Loaded { separator, device, precision, device_failure }));
    assert_eq!(worker_with(&Worker::parse_from(["worker"]).args, load), ExitCode::SUCCESS);
}
