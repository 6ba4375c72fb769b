//! The [`SqliteQueue`] type.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{
    DeadLetter, Depth, DurableLeases, Failure, Job, JobLine, JobPayload, JobQueue, JobState, JobsAhead, Lease, LeaseId,
    LeasedJob, QueueError,
};
use vocalizer_core::song::SongHash;

use super::record::{Found, Record};
use crate::finish::run_to_completion;
use crate::schedule::{Held, Queued, Schedule};

/// A durable [`JobQueue`] in a SQLite file, separate or shared with the songs, for one process.
///
/// Only the process that opens it may lease jobs; the caller must ensure this with its own lock. A [`Lease`] ends with
/// the process: its job is ready when the next process opens the file, with the attempt counted. A
/// [durable lease](JobQueue::durable_leases) continues in the next process, with the full time again. Clones share one
/// queue. Where the port leaves a choice, this queue behaves like [`MemoryQueue`](crate::MemoryQueue), except:
///
/// - It stores only hashes and models. A payload other than [`JobPayload::Stored`] is [`QueueError::TooLarge`].
/// - Whose turn it is is forgotten at a restart; lines and priorities are kept.
/// - Delays and the age of jobs continue across restarts, by the system clock. A clock that is set back lengthens no
///   delay.
/// - An operation that has started completes even if its future is dropped.
#[derive(Clone)]
pub struct SqliteQueue {
    schedule: Arc<Schedule>,
    record: Arc<Record>,
    /// Held while a job is published, so that a concurrent repeat is dropped.
    publishing: Arc<Mutex<()>>,
}

impl SqliteQueue {
    /// Opens the queue in the file at `path`. A missing file is created, accessible to its owner only. Leases last
    /// `visibility`, and each extension grants it again.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if the file cannot be opened, is not a database, or was written by a newer version.
    pub async fn open(path: &Path, visibility: Duration) -> Result<Self, QueueError> {
        let record = Record::open(path).await?;
        let jobs = record.jobs().await?;
        let last_number = jobs.iter().map(|found| found.number).max().unwrap_or(0);
        let schedule = Schedule::new(visibility, last_number);
        let known_since = Instant::now();
        for Found { number, job, line, attempts, age, delay, lease } in jobs {
            match lease {
                None => schedule.enqueue(Queued { number, job, line, attempts, known_since, age }, delay),
                Some((lease, counts)) => {
                    let attempts = attempts.saturating_add(u32::from(!counts));
                    schedule.restore(lease, Queued { number, job, line, attempts, known_since, age }, counts);
                }
            }
        }
        Ok(Self { schedule, record: Arc::new(record), publishing: Arc::default() })
    }

    /// Returns the newest dead letters, at most `limit`, newest first. Publishing a
    /// job again removes its dead letter.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.record.dead_letters(limit).await
    }
}

/// Shows the depth, but no jobs.
impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.schedule.depth();
        f.debug_struct("SqliteQueue")
            .field("waiting", &depth.waiting)
            .field("leased", &depth.leased.unwrap_or(0))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl JobQueue for SqliteQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.publish_in(job, JobLine::default()).await
    }

    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        if !matches!(job.payload, JobPayload::Stored) {
            return Err(QueueError::TooLarge { max_bytes: 0 });
        }
        let Self { schedule, record, publishing } = self.clone();
        run_to_completion(async move {
            let _guard = publishing.lock().await;
            if schedule.is_waiting(&job.key) {
                record.remove_dead_letter(&job.key).await?;
                return move_ahead(&schedule, &record, &job.key, line).await;
            }
            let number = schedule.number();
            record.insert(number, &job, line).await?;
            schedule.enqueue(Queued::fresh(number, job, line), Duration::ZERO);
            Ok(())
        })
        .await
    }

    async fn move_ahead(&self, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
        let (Self { schedule, record, .. }, hash) = (self.clone(), *hash);
        run_to_completion(async move { move_ahead(&schedule, &record, &hash, line).await }).await
    }

    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        let (Self { schedule, record, publishing }, hash) = (self.clone(), *hash);
        run_to_completion(async move {
            // A job that is being published has a row and does not wait yet.
            let _guard = publishing.lock().await;
            for queued in schedule.withdraw(&hash) {
                record.remove(&queued).await?;
            }
            Ok(())
        })
        .await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.lease_for(&Capabilities::default()).await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        let held = self.schedule.take(capabilities).await;
        // Written before delivery, so that an attempt which crashes the process counts. The job is ready as of now:
        // after a restart it comes after untried jobs. If this call is cancelled here, the job returns uncounted, and
        // the next write replaces this one.
        self.record.put(held.queued(), held.queued().attempts, Duration::ZERO, None).await?;
        Ok(Box::new(SqliteLease { held: held.delivered(), queue: self.clone() }))
    }

    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        Some(self)
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
        Ok(Depth { dead: self.record.dead().await?, ..self.schedule.depth() })
    }
}

/// Moves a waiting job to another line if it is delivered earlier there. If the row is not written, the old line applies
/// after a restart.
async fn move_ahead(schedule: &Schedule, record: &Record, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
    match schedule.move_ahead(hash, line) {
        Some(moved) => record.set_line(&moved).await,
        None => Ok(()),
    }
}

#[async_trait]
impl DurableLeases for SqliteQueue {
    async fn grant(&self) -> Result<LeasedJob, QueueError> {
        self.grant_for(&Capabilities::default()).await
    }

    async fn grant_for(&self, capabilities: &Capabilities) -> Result<LeasedJob, QueueError> {
        let held = self.schedule.take(capabilities).await;
        let (lease, visibility) = (held.lease(), held.visibility());
        let Queued { job, attempts, .. } = held.queued();
        let &Job { hash, model, key, trace, .. } = job;
        let granted = LeasedJob { lease, hash, model, key, trace, attempt: *attempts, visibility };
        let before = attempts.saturating_sub(1);
        // If this call is cancelled here, the job returns, and the next lease overwrites this.
        self.record.put(held.queued(), before, Duration::ZERO, Some((lease, false))).await?;
        held.keep();
        Ok(granted)
    }

    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        let Self { schedule, record, .. } = self.clone();
        run_to_completion(async move {
            let Some(queued) = schedule.extend(lease)? else { return Ok(()) };
            record.put(&queued, queued.attempts, Duration::ZERO, Some((lease, true))).await?;
            schedule.count(lease)
        })
        .await
    }

    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError> {
        let Self { schedule, record, .. } = self.clone();
        run_to_completion(async move {
            let queued = schedule.suspend_expiry(lease)?;
            let attempts = queued.attempts;
            let written = match &failure {
                None => record.remove(&queued).await,
                Some(Failure::Retry { after }) => record.put(&queued, attempts, *after, None).await,
                Some(Failure::Later { after }) => record.put(&queued, attempts.saturating_sub(1), *after, None).await,
                Some(Failure::Never { reason }) => record.add_dead_letter(&queued, reason).await,
            };
            if written.is_err() {
                // The lease expires normally unless its holder tries again.
                let _ = schedule.extend(lease);
                return written;
            }
            match failure {
                None | Some(Failure::Never { .. }) => schedule.remove(lease).map(drop),
                Some(Failure::Retry { after }) => schedule.put_back(lease, after, true),
                Some(Failure::Later { after }) => schedule.put_back(lease, after, false),
            }
        })
        .await
    }
}

struct SqliteLease {
    held: Held,
    queue: SqliteQueue,
}

#[async_trait]
impl Lease for SqliteLease {
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
        self.queue.schedule.extend(self.held.lease()).map(drop)
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.settle(Some(failure)).await
    }
}

impl SqliteLease {
    async fn settle(self: Box<Self>, failure: Option<Failure>) -> Result<(), QueueError> {
        let Self { held, queue } = *self;
        let lease = held.lease();
        // The job is not re-queued while the settlement is written.
        run_to_completion(async move {
            let settled = queue.settle(lease, failure).await;
            drop(held);
            settled
        })
        .await
    }
}
