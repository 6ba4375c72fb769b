use std::time::Duration;

use vocalizer_core::ports::{JobQueue, Lease};
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

pub(super) use super::database::{TestDatabase, execute};
pub(super) use crate::jobs::{hash, job};

/// Timeout after which a test counts as hanging.
pub(super) const HANGS: Duration = Duration::from_secs(120);

/// A lease duration longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(600);

impl TestDatabase {
    /// Opens the queue like another server.
    pub(super) async fn open(&self, visibility: Duration) -> PostgresQueue {
        PostgresQueue::open(&self.url(), settings(visibility)).await.unwrap()
    }
}

/// Long timeouts, because many tests run in parallel.
pub(super) fn settings(visibility: Duration) -> PostgresQueueSettings {
    let acquire_timeout = Duration::from_secs(30);
    PostgresQueueSettings { visibility, acquire_timeout, ..PostgresQueueSettings::default() }
}

/// Leases the next job and checks its name.
pub(super) async fn leased(queue: &PostgresQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(HANGS, queue.lease()).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash(name), "not the job of {name}");
    lease
}
