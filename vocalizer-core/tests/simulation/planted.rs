//! Faults that are put in on purpose: a simulation that does not find them finds nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{
    BlobStore, DeadLetter, Depth, Failure, Job, JobQueue, JobState, Lease, QueueError, SongRepository,
};
use vocalizer_core::service::ServiceError;
use vocalizer_core::song::{SongHash, SongId};

use super::broker::Queue;
use super::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A worker acknowledges its job before the result is delivered.
    AcknowledgesBeforeDelivering,
    /// A relay crosses wishes off before their jobs are on the queue.
    CrossesOffBeforePublishing,
    /// Blobs are deleted without the lock of their hash.
    DeletesWithoutTheLock,
    /// A sweep takes jobs that are leased for lost.
    SweepHandsBackWhatIsLeased,
    /// What was put off because something was away counts as an attempt.
    OutagesCountAsAttempts,
    /// A blob store deletes even after the server that asked it to has died or given up, and let go of its lock.
    DeletesLandLate,
}

impl Bug {
    pub(crate) const fn needs_an_exact_queue(self) -> bool {
        matches!(self, Self::SweepHandsBackWhatIsLeased)
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
        let hollow = Hollow { job: lease.job().clone(), attempt: lease.attempt(), visibility: lease.visibility() };
        lease.acknowledge().await?;
        Ok(Box::new(hollow))
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.0.state(hash).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.0.depth().await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.0.dead_letters(limit).await
    }
}

/// A lease with nothing behind it.
struct Hollow {
    job: Job,
    attempt: u32,
    visibility: Duration,
}

#[async_trait]
impl Lease for Hollow {
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

/// As [`SongService::delete`](vocalizer_core::service::SongService::delete), with the lock left out.
pub(crate) async fn delete_without_the_lock(world: Arc<World>, id: SongId) -> Result<(), ServiceError> {
    let removed = world.database.remove(id).await?.ok_or(ServiceError::NotFound { what: "song" })?;
    if removed.others_with_hash == 0 {
        world.blobs.delete_all(removed.song.hash()).await?;
    }
    Ok(())
}
