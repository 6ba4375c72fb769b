//! Where a queue lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};

use crate::conformance::support::hash;
use crate::ports::{Job, JobPayload, JobQueue, Lease};

/// A lease that does not run out within a test.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// A lease that a test waits to run out.
pub(super) const SHORT: Duration = Duration::from_secs(1);

/// How long a job that must not come is waited for.
pub(super) const MOMENT: Duration = Duration::from_millis(200);

/// How long a job that must come is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A queue of its own for one test, and time as the queue knows it.
#[async_trait]
pub trait QueuePlace: Send + Sync {
    /// Opens the queue, empty. Called once in a test.
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue>;

    /// How much time has passed since some moment.
    fn elapsed(&self) -> Duration;

    /// Lets time pass.
    async fn pass(&self, span: Duration);

    /// What the job of a song with this name carries.
    fn payload(&self, name: &str) -> JobPayload {
        let _ = name;
        JobPayload::Stored
    }

    /// Whether a dead letter goes when its job is published again.
    fn forgets_dead_letters(&self) -> bool {
        true
    }
}

/// The job of a song with this name.
pub(super) fn job(place: &impl QueuePlace, name: &str) -> Job {
    Job { hash: hash(name), payload: place.payload(name) }
}

/// A queue with these jobs on it.
pub(super) async fn queue_of(place: &impl QueuePlace, visibility: Duration, names: &[&str]) -> Arc<dyn JobQueue> {
    let queue = place.queue(visibility).await;
    for name in names {
        queue.publish(job(place, name)).await.unwrap();
    }
    queue
}

/// The next job, which has to come.
pub(super) async fn leased(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Box<dyn Lease> {
    match select(queue.lease(), pin!(place.pass(PATIENCE))).await {
        Either::Left((lease, _)) => lease.unwrap(),
        Either::Right(_) => panic!("no job came"),
    }
}

/// The next job, which has to be this one.
pub(super) async fn leased_as(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>, name: &str) -> Box<dyn Lease> {
    let lease = leased(place, queue).await;
    assert_eq!(lease.job().hash, hash(name), "not the job of {name}");
    lease
}

/// The next job, if one comes within a while.
pub(super) async fn leased_at_once(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Option<Box<dyn Lease>> {
    match select(queue.lease(), pin!(place.pass(MOMENT))).await {
        Either::Left((lease, _)) => Some(lease.unwrap()),
        Either::Right(_) => None,
    }
}

/// No job comes for a while.
pub(super) async fn nothing_comes(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) {
    if let Some(lease) = leased_at_once(place, queue).await {
        panic!("a job came: {:?}", lease.job());
    }
}
