//! The queue itself.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vocalizer_core::ports::{DeadLetter, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

use super::record::Record;
use crate::schedule::{Held, Queued, Schedule};

/// A [`JobQueue`] in a SQLite file, its own or the one that the songs are in: durable, for one process.
///
/// The process that opens it is the only one that leases; see to that with a lock of your own. So the file says which
/// jobs there are, and who has which is known in memory alone: whatever was leased when a process died is ready when
/// the next one opens the file, with the attempt counted. Clones are handles to the same queue. What the port leaves
/// open, this queue does as [`MemoryQueue`](crate::MemoryQueue) does, but for these:
///
/// - It carries hashes alone. A job whose payload is not [`JobPayload::Stored`] is [`QueueError::TooLarge`].
/// - Delays, and the age of jobs, go on across a restart by the wall's clock. A clock that goes back lengthens no delay.
/// - What a call has begun is finished when the call is dropped.
#[derive(Clone)]
pub struct SqliteQueue {
    schedule: Arc<Schedule>,
    record: Arc<Record>,
    /// Held while a job is published, so that of two who publish the same one is dropped.
    publishing: Arc<Mutex<()>>,
}

impl SqliteQueue {
    /// Opens the queue in the file at `path`, making it where it is missing, readable by its owner alone. Leases hold
    /// for `visibility`, and again so long each time they are extended.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]: the file cannot be opened, is no database, or was written by a newer version.
    pub async fn open(path: &Path, visibility: Duration) -> Result<Self, QueueError> {
        let record = Record::open(path).await?;
        let jobs = record.jobs().await?;
        let last_number = jobs.iter().map(|found| found.number).max().unwrap_or(0);
        let schedule = Schedule::new(visibility, last_number);
        let known_since = Instant::now();
        for found in jobs {
            let (number, job, attempts, age) = (found.number, found.job, found.attempts, found.age);
            schedule.enqueue(Queued { number, job, attempts, known_since, age }, found.delay);
        }
        Ok(Self { schedule, record: Arc::new(record), publishing: Arc::default() })
    }
}

/// Tells how full it is and nothing of the jobs.
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
        if !matches!(job.payload, JobPayload::Stored) {
            return Err(QueueError::TooLarge { max_bytes: 0 });
        }
        let Self { schedule, record, publishing } = self.clone();
        finished(async move {
            let _alone = publishing.lock().await;
            if schedule.waits(&job.hash) {
                return record.bury(&job.hash).await;
            }
            let number = schedule.number();
            record.insert(number, &job.hash).await?;
            schedule.enqueue(Queued::fresh(number, job), Duration::ZERO);
            Ok(())
        })
        .await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        let held = self.schedule.take().await;
        // Before anybody works at it, so that a job which takes the process with it is counted all the same. It is also
        // ready as of now: after a restart it comes behind those that were not tried. Dropped here, it goes back
        // uncounted, and the next count overwrites this one.
        self.record.put(held.queued(), held.queued().attempts, Duration::ZERO).await?;
        Ok(Box::new(SqliteLease { held: held.told(), record: Arc::clone(&self.record) }))
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(self.schedule.place(hash))
    }

    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        Ok(self.schedule.places(hashes))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth { dead: self.record.dead().await?, ..self.schedule.depth() })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.record.dead_letters(limit).await
    }
}

struct SqliteLease {
    held: Held,
    record: Arc<Record>,
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
        self.held.extend()
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        let Self { held, record } = *self;
        finished(async move {
            held.hold_on()?;
            record.remove(held.queued()).await?;
            held.take_off().map(|_| ())
        })
        .await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        let Self { held, record } = *self;
        finished(async move {
            held.hold_on()?;
            let attempts = held.queued().attempts;
            match failure {
                Failure::Retry { after } => {
                    record.put(held.queued(), attempts, after).await?;
                    held.put_back(after, true)
                }
                Failure::Later { after } => {
                    record.put(held.queued(), attempts.saturating_sub(1), after).await?;
                    held.put_back(after, false)
                }
                Failure::Never { reason } => {
                    record.set_aside(held.queued(), &reason).await?;
                    held.take_off().map(|_| ())
                }
            }
        })
        .await
    }
}

/// Does something to its end, whether or not somebody waits for it: file and memory must not come apart half-way.
async fn finished<T: Send + 'static>(
    work: impl Future<Output = Result<T, QueueError>> + Send + 'static,
) -> Result<T, QueueError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(QueueError::Unavailable(error.into())))
}
