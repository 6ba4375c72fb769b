use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, Lease};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_queue::{AmqpQueue, AmqpSettings};

use super::broker::shared;

/// Timeout for events that must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a unique queue name, also across test runs.
pub(super) fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Settings for a separate queue at the shared broker.
pub(super) fn settings() -> AmqpSettings {
    AmqpSettings::new(&shared().address).unwrap().with_queue(&fresh_name()).with_visibility(Duration::from_secs(600))
}

pub(super) fn queue(settings: AmqpSettings) -> AmqpQueue {
    AmqpQueue::new(settings).unwrap()
}

pub(super) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

/// Creates a job for a song whose bytes are its name.
pub(super) fn job(name: &str) -> Job {
    Job::new(hash(name), JobPayload::Inline(Bytes::copy_from_slice(name.as_bytes())))
}

pub(super) fn never(reason: &str) -> Failure {
    Failure::Never { reason: FailureReason::new(reason) }
}

pub(super) async fn leased(queue: &AmqpQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(PATIENCE, queue.lease()).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash(name), "not the job of {name}");
    lease
}
