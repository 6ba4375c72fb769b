//! The worker without its network.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use tokio::sync::watch;
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator, StemSet};
use vocalizer_examples::service::{Loaded, WorkerArgs, worker_with};

use super::place::{LOST, TAKES_MS};
use crate::support::stems;

/// Takes its time, and gives every song the same stems.
struct StandIn(Duration);

#[async_trait]
impl Separator for StandIn {
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

/// Fails at every song, and says that its device did.
struct Lost(watch::Sender<bool>);

#[async_trait]
impl Separator for Lost {
    async fn separate(&self, _: Blob, _: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.0.send_replace(true);
        Err(AudioError::Failed("cannot compute on cuda:0: it has fallen off the bus".into()))
    }
}

/// All of `worker` but its network, set by variables as that is. As a test of its own it does nothing.
#[test]
fn child_worker_entry() {
    let Ok(takes_ms) = std::env::var(TAKES_MS) else { return };
    let (failed, mut has_failed) = watch::channel(false);
    let separator: Arc<dyn Separator> = if takes_ms == LOST {
        Arc::new(Lost(failed))
    } else {
        Arc::new(StandIn(Duration::from_millis(takes_ms.parse().unwrap())))
    };
    let device_failure = Box::pin(async move {
        if has_failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
        "it has fallen off the bus".to_owned()
    });
    let load = Box::new(move |_| Ok(Loaded { separator, device: "cuda:0".to_owned(), device_failure }));
    assert_eq!(worker_with(&Worker::parse_from(["worker"]).args, load), ExitCode::SUCCESS);
}
