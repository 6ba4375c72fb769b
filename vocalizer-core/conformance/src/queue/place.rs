//! The trait that an adapter implements, and helpers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};

use crate::support::hash;
use vocalizer_core::ports::{DeadLetter, Job, JobPayload, JobQueue, Lease};

/// A lease that does not expire within a test.
pub(super) const LONG_LEASE: Duration = Duration::from_secs(600);

/// A lease that a test waits for to expire.
pub(super) const SHORT_LEASE: Duration = Duration::from_secs(1);

/// How long to wait before concluding that no job is delivered.
pub(super) const SHORT_WAIT: Duration = Duration::from_millis(200);

/// The timeout for an expected job.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(60);

/// A separate queue for one test, and the clock that it uses.
#[async_trait]
pub trait QueuePlace: Send + Sync {
    /// Opens an empty queue. Called once per test.
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue>;

    /// Returns the time since some fixed moment.
    fn elapsed(&self) -> Duration;

    /// Waits or advances the clock by `span`.
    async fn pass(&self, span: Duration);

    /// Returns the payload of the job for a song with this name.
    fn payload(&self, name: &str) -> JobPayload {
        let _ = name;
        JobPayload::Stored
    }

    /// Returns the newest dead letters of the opened queue, at most `limit`, newest first.
    async fn dead_letters(&self, limit: u32) -> Vec<DeadLetter>;

    /// Returns whether the job of a dropped lease call is available at once. Otherwise it is when its lease expires, as over a
    /// network, where the response to the call may be lost.
    fn returns_dropped_jobs(&self) -> bool {
        true
    }

    /// Returns whether a lease call passes over jobs of other models.
    fn selects_models(&self) -> bool {
        false
    }

    /// Returns whether a job keeps its [trace](Job::trace).
    fn keeps_traces(&self) -> bool {
        false
    }

    /// Returns whether the queue is fair: whether it knows [lines](vocalizer_core::ports::JobLine) and withdraws jobs.
    fn has_lines(&self) -> bool {
        true
    }

    /// Returns whether publishing a job again removes its dead letter.
    fn forgets_dead_letters(&self) -> bool {
        true
    }
}

/// Returns the job for a song with this name.
pub(super) fn job(place: &impl QueuePlace, name: &str) -> Job {
    Job::new(hash(name), place.payload(name))
}

/// Opens a queue with these jobs.
pub(super) async fn queue_with(place: &impl QueuePlace, visibility: Duration, names: &[&str]) -> Arc<dyn JobQueue> {
    let queue = place.queue(visibility).await;
    for name in names {
        queue.publish(job(place, name)).await.unwrap();
    }
    queue
}

/// Leases the next job; fails if there is none.
pub(super) async fn lease_next(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Box<dyn Lease> {
    match select(queue.lease(), pin!(place.pass(LONG_WAIT))).await {
        Either::Left((lease, _)) => lease.unwrap(),
        Either::Right(_) => panic!("no job was delivered"),
    }
}

/// Leases the next job; fails if it is not this one.
pub(super) async fn lease_job(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>, name: &str) -> Box<dyn Lease> {
    let lease = lease_next(place, queue).await;
    assert_eq!(lease.job().hash, hash(name), "expected the job for {name}");
    lease
}

/// Leases the next job, if one is delivered soon.
pub(super) async fn try_lease(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Option<Box<dyn Lease>> {
    match select(queue.lease(), pin!(place.pass(SHORT_WAIT))).await {
        Either::Left((lease, _)) => Some(lease.unwrap()),
        Either::Right(_) => None,
    }
}

/// Asserts that no job is delivered.
pub(super) async fn assert_no_job(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) {
    if let Some(lease) = try_lease(place, queue).await {
        panic!("unexpected job: {:?}", lease.job());
    }
}
