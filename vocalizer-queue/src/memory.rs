//! A queue that lives as long as the process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{DeadLetter, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

use crate::schedule::{Held, Schedule};

/// A [`JobQueue`] in memory: everything the port promises except that it outlives the process.
///
/// Clones are handles to the same queue. What the port leaves open, this queue does so:
///
/// - Jobs come in the order in which they became ready: a fresh one when it was published, one that was handed back
///   when its delay is over, one whose lease ran out at that moment. So a job that kills its workers does not hold up
///   the rest.
/// - A repeat of a job that waits is dropped. A repeat of one that is leased is kept, because the worker that has the
///   lease may be about to learn that its song is gone.
/// - A job that is published again after it became a dead letter is a fresh job, and the dead letter is gone.
/// - It counts attempts and puts no end to them: when to give up is the worker's decision, with [`Failure::Never`].
/// - Leases run by tokio's clock, so that a test can pause it.
#[derive(Clone)]
pub struct MemoryQueue {
    schedule: Arc<Schedule>,
    dead: Arc<Mutex<Vec<DeadLetter>>>,
    max_inline_bytes: u64,
}

impl MemoryQueue {
    /// An empty queue whose leases hold for `visibility`, and again so long each time they are extended.
    #[must_use]
    pub fn new(visibility: Duration) -> Self {
        Self { schedule: Schedule::new(visibility, 0), dead: Arc::default(), max_inline_bytes: u64::MAX }
    }

    /// The same queue through a handle that refuses to publish inline payloads of more than this; without it any size
    /// goes.
    #[must_use]
    pub fn with_max_inline_bytes(self, max_inline_bytes: u64) -> Self {
        Self { max_inline_bytes, ..self }
    }
}

/// Also after a panic elsewhere: a list is never half changed.
fn lock(dead: &Mutex<Vec<DeadLetter>>) -> MutexGuard<'_, Vec<DeadLetter>> {
    dead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells how full it is and nothing of the jobs.
impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.schedule.depth();
        f.debug_struct("MemoryQueue")
            .field("waiting", &depth.waiting)
            .field("leased", &depth.leased.unwrap_or(0))
            .field("dead_letters", &lock(&self.dead).len())
            .finish()
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        if let JobPayload::Inline(bytes) = &job.payload
            && bytes.len() as u64 > self.max_inline_bytes
        {
            return Err(QueueError::TooLarge { max_bytes: self.max_inline_bytes });
        }
        lock(&self.dead).retain(|letter| letter.hash != job.hash);
        self.schedule.publish(job);
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        // Nothing is awaited once a job is taken, so a dropped call has either taken nothing or dropped the lease.
        let held = self.schedule.take().await.told();
        Ok(Box::new(MemoryLease { held, schedule: Arc::clone(&self.schedule), dead: Arc::clone(&self.dead) }))
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(self.schedule.place(hash))
    }

    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        Ok(self.schedule.places(hashes))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth { dead: lock(&self.dead).len() as u64, ..self.schedule.depth() })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(lock(&self.dead).iter().rev().take(limit as usize).cloned().collect())
    }
}

struct MemoryLease {
    held: Held,
    schedule: Arc<Schedule>,
    dead: Arc<Mutex<Vec<DeadLetter>>>,
}

#[async_trait]
impl Lease for MemoryLease {
    fn job(&self) -> &Job {
        &self.held.queued().job
    }

    fn attempt(&self) -> u32 {
        self.held.queued().attempts
    }

    fn visibility(&self) -> Duration {
        self.held.visibility()
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        self.schedule.extend(self.held.lease()).map(drop)
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.schedule.take_off(self.held.lease()).map(drop)
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        match failure {
            Failure::Retry { after } => self.schedule.put_back(self.held.lease(), after, true),
            Failure::Later { after } => self.schedule.put_back(self.held.lease(), after, false),
            Failure::Never { reason } => {
                let queued = self.schedule.take_off(self.held.lease())?;
                let hash = queued.job.hash;
                let mut dead = lock(&self.dead);
                dead.retain(|letter| letter.hash != hash);
                dead.push(DeadLetter { hash, reason, attempts: queued.attempts });
                Ok(())
            }
        }
    }
}
