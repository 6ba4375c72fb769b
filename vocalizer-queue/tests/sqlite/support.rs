use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, Lease};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_queue::SqliteQueue;

pub(super) const VISIBILITY: Duration = Duration::from_secs(600);

/// Timeout for a job that must arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder for a queue, removed with this value.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("vocalizer.sqlite")
    }

    /// Opens the queue like a restarted process.
    pub(super) async fn open(&self) -> SqliteQueue {
        SqliteQueue::open(&self.path(), VISIBILITY).await.unwrap()
    }
}

pub(super) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

pub(super) fn job(name: &str) -> Job {
    Job { hash: hash(name), payload: JobPayload::Stored }
}

pub(super) fn never(reason: &str) -> Failure {
    Failure::Never { reason: FailureReason::new(reason) }
}

pub(super) async fn leased(queue: &SqliteQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(PATIENCE, queue.lease()).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash(name));
    lease
}
