//! A job queue in memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{
    DeadLetter, Depth, Failure, Job, JobLine, JobPayload, JobQueue, JobState, JobsAhead, Lease, QueueError,
};
use vocalizer_core::song::SongHash;

use crate::schedule::{Held, Schedule};

/// A [`JobQueue`] in memory. It fulfils the port except for durability.
///
/// Clones share one queue. Where the port leaves a choice, this queue behaves as follows:
///
/// - It is fair. Within a line, jobs arrive in the order in which they became ready: a new job when published, a
///   returned job when its delay ends, a job with an expired lease at its expiry. So a job that crashes its workers does
///   not block the others.
/// - A repeat of a waiting job is dropped. A repeat of a leased job is kept, because the worker may be about to find
///   out that its song is gone.
/// - Publishing a job again after it became a dead letter creates a new job and removes the dead letter.
/// - Attempts are counted without a limit; the worker decides when to give up, with [`Failure::Never`].
/// - Leases use tokio's clock, which tests can pause.
#[derive(Clone)]
pub struct MemoryQueue {
    schedule: Arc<Schedule>,
    dead: Arc<Mutex<Vec<DeadLetter>>>,
    max_inline_bytes: u64,
}

impl MemoryQueue {
    /// Creates an empty queue. A lease lasts `visibility`, and each extension grants it again.
    #[must_use]
    pub fn new(visibility: Duration) -> Self {
        Self { schedule: Schedule::new(visibility, 0), dead: Arc::default(), max_inline_bytes: u64::MAX }
    }

    /// Returns a handle to the same queue that rejects larger inline payloads. By default there is no limit.
    #[must_use]
    pub fn with_max_inline_bytes(self, max_inline_bytes: u64) -> Self {
        Self { max_inline_bytes, ..self }
    }

    /// Returns the newest dead letters, at most `limit`, newest first. Publishing a
    /// job again removes its dead letter.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(lock(&self.dead).iter().rev().take(limit as usize).cloned().collect())
    }
}

/// Ignores poisoning: no critical section leaves a partial change.
fn lock(dead: &Mutex<Vec<DeadLetter>>) -> MutexGuard<'_, Vec<DeadLetter>> {
    dead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the depth, but no jobs.
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
        self.publish_in(job, JobLine::default()).await
    }

    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        if let JobPayload::Inline(bytes) = &job.payload
            && bytes.len() as u64 > self.max_inline_bytes
        {
            return Err(QueueError::TooLarge { max_bytes: self.max_inline_bytes });
        }
        lock(&self.dead).retain(|letter| letter.hash != job.key);
        self.schedule.publish(job, line);
        Ok(())
    }

    async fn move_ahead(&self, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
        self.schedule.move_ahead(hash, line);
        Ok(())
    }

    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        self.schedule.withdraw(hash);
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.lease_for(&Capabilities::default()).await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        // There is no await after taking a job, so a cancelled call either took nothing or dropped the lease.
        let held = self.schedule.take(capabilities).await.delivered();
        Ok(Box::new(MemoryLease { held, schedule: Arc::clone(&self.schedule), dead: Arc::clone(&self.dead) }))
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(self.schedule.place(hash))
    }

    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        Ok(self.schedule.places(hashes))
    }

    async fn jobs_ahead(&self, key: &SongHash) -> Result<Option<JobsAhead>, QueueError> {
        Ok(self.schedule.ahead(key))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth { dead: lock(&self.dead).len() as u64, ..self.schedule.depth() })
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
        self.schedule.remove(self.held.lease()).map(drop)
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        match failure {
            Failure::Retry { after } => self.schedule.put_back(self.held.lease(), after, true),
            Failure::Later { after } => self.schedule.put_back(self.held.lease(), after, false),
            Failure::Never { reason } => {
                let queued = self.schedule.remove(self.held.lease())?;
                let hash = queued.job.key;
                let mut dead = lock(&self.dead);
                dead.retain(|letter| letter.hash != hash);
                dead.push(DeadLetter { hash, reason, attempts: queued.attempts });
                Ok(())
            }
        }
    }
}
