//! Planted bugs, which the simulation must find.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{BlobStore, Depth, Failure, Job, JobQueue, JobState, Lease, QueueError, SongRepository};
use vocalizer_core::service::ServiceError;
use vocalizer_core::song::{SongHash, SongId};

use super::broker::Queue;
use super::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A worker acknowledges its job before the result is delivered.
    AcknowledgesBeforeDelivering,
    /// A relay removes outbox entries before their jobs are on the queue.
    RemovesEntryBeforePublishing,
    /// Blobs are deleted without the lock of their hash.
    DeletesWithoutLock,
    /// A sweep treats leased jobs as lost.
    SweepHandsBackLeasedJobs,
    /// A job postponed because of an outage counts an attempt.
    OutagesCountAsAttempts,
    /// The blob store deletes even after the requesting server crashed or gave up and released its lock.
    DeletesLate,
}

impl Bug {
    pub(crate) const fn needs_exact_queue(self) -> bool {
        matches!(self, Self::SweepHandsBackLeasedJobs)
    }
}

/// A queue whose jobs are acknowledged as soon as they are leased.
pub(crate) struct EagerQueue(pub(crate) Queue);

#[async_trait]
impl JobQueue for EagerQueue {
    fn max_inline_bytes(&self) -> Option<u64> {
        self.0.max_inline_bytes()
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.0.publish(job).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        let lease = self.0.lease().await?;
        let detached =
            DetachedLease { job: lease.job().clone(), attempt: lease.attempt(), visibility: lease.visibility() };
        lease.acknowledge().await?;
        Ok(Box::new(detached))
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.0.state(hash).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.0.depth().await
    }
}

/// A lease without a job on the queue.
struct DetachedLease {
    job: Job,
    attempt: u32,
    visibility: Duration,
}

#[async_trait]
impl Lease for DetachedLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn visibility(&self) -> Duration {
        self.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn fail(self: Box<Self>, _failure: Failure) -> Result<(), QueueError> {
        Ok(())
    }
}

/// Deletes like [`SongService::delete`](vocalizer_core::service::SongService::delete), but without the lock.
pub(crate) async fn delete_without_lock(world: Arc<World>, id: SongId) -> Result<(), ServiceError> {
    let removed = world.database.remove(id).await?.ok_or(ServiceError::NotFound { what: "song" })?;
    if removed.others_with_hash == 0 {
        world.blobs.delete_all(removed.song.hash()).await?;
    }
    Ok(())
}
