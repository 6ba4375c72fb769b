use std::time::Duration;

use vocalizer_core::ports::{Failure, JobQueue, Lease};
use vocalizer_core::song::FailureReason;
use vocalizer_queue::SqliteQueue;

pub(super) use super::file::TestFile;
pub(super) use crate::jobs::{hash, job};

pub(super) const VISIBILITY: Duration = Duration::from_secs(600);

/// Timeout for a job that must arrive.
const PATIENCE: Duration = Duration::from_secs(60);

impl TestFile {
    /// Opens the queue like a restarted process.
    pub(super) async fn open(&self) -> SqliteQueue {
        SqliteQueue::open(&self.path(), VISIBILITY).await.unwrap()
    }
}

pub(super) fn never(reason: &str) -> Failure {
    Failure::Never { reason: FailureReason::new(reason) }
}

pub(super) async fn leased(queue: &SqliteQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(PATIENCE, queue.lease()).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash(name));
    lease
}
