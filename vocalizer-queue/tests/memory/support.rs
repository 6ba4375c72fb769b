use std::time::Duration;

use vocalizer_core::ports::{Depth, Failure, Job, JobPayload, JobQueue, Lease};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_queue::MemoryQueue;

pub(super) const VISIBILITY: Duration = Duration::from_secs(60);
pub(super) const MOMENT: Duration = Duration::from_millis(10);

pub(super) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

pub(super) fn job(name: &str) -> Job {
    Job::new(hash(name), JobPayload::Inline(name.to_owned().into()))
}

pub(super) fn never() -> Failure {
    Failure::Never { reason: FailureReason::new("no") }
}

pub(super) async fn queue_of(names: &[&str]) -> MemoryQueue {
    let queue = MemoryQueue::new(VISIBILITY);
    for name in names {
        queue.publish(job(name)).await.unwrap();
    }
    queue
}

/// Leases the next job, which must be ready: time is paused, so waiting for a missing job panics at once.
pub(super) async fn leased(queue: &MemoryQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(MOMENT / 10, queue.lease()).await.expect("no job is ready").unwrap();
    assert_eq!(lease.job().hash, hash(name));
    lease
}

/// Asserts that no job arrives within `span`.
pub(super) async fn assert_no_job_for(queue: &MemoryQueue, span: Duration) {
    assert!(tokio::time::timeout(span, queue.lease()).await.is_err(), "unexpected job");
}

/// Numbers of waiting jobs, leased jobs and dead letters.
pub(super) async fn depth(queue: &MemoryQueue) -> (u64, u64, u64) {
    let Depth { waiting, leased, dead, .. } = queue.depth().await.unwrap();
    (waiting, leased.unwrap(), dead)
}
