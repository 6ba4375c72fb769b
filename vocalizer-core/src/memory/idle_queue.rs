//! A queue without workers.

use async_trait::async_trait;

use crate::ports::{Depth, Job, JobQueue, JobState, Lease, QueueError};
use crate::song::SongHash;

/// A [`JobQueue`] that takes every job and delivers none, for tests of everything but workers.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdleQueue;

#[async_trait]
impl JobQueue for IdleQueue {
    async fn publish(&self, _: Job) -> Result<(), QueueError> {
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        std::future::pending().await
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}
