//! A job queue for Vocalizer in one file, over the key-value store `redb`.
//!
//! One table holds all jobs, ordered by the time at which they become visible: at once for a new job, later for a delayed
//! or leased one. So the next job is the first row, and a lease that expires needs no further action.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use redb::{
    Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use vocalizer_core::ports::{
    DeadLetter, Depth, DurableLeases, Failure, Job, JobPayload, JobQueue, JobState, Lease, LeaseId, LeasedJob,
    QueueError,
};
use vocalizer_core::song::{FailureReason, SongHash};

use file::{DEAD, JOBS, StoredJob, advance_clock, later, parse_hash, scan};

mod file;

/// A durable [`JobQueue`] in one file, for one process. Clones share one queue.
///
/// - It stores only hashes: a payload other than [`JobPayload::Stored`] is [`QueueError::TooLarge`].
/// - A repeat of a waiting job is dropped. A repeat of a leased job is kept, because its worker may settle it for a song
///   that was removed and has been uploaded again since.
/// - A job becomes a dead letter only by [`Failure::Never`]. Publishing it again removes the dead letter.
/// - All leases are durable. After a crash, a [`Lease`] of the old process lasts until it expires.
/// - A change that has begun completes even if its future is dropped.
///
/// Most operations read all jobs, so it is meant for thousands of jobs, not for millions.
#[derive(Clone)]
pub struct RedbQueue {
    shared: Arc<Shared>,
}

struct Shared {
    db: Database,
    visibility: Duration,
    /// Runs the release of dropped leases.
    runtime: Handle,
    /// Held by the only writer, so that waiting for it blocks no thread.
    writing: Arc<Mutex<()>>,
    changed: Notify,
    opened: Instant,
    opened_at_ns: u64,
}

impl RedbQueue {
    /// Opens the queue in the file at `path`, and creates a missing file. Leases last `visibility`, and each extension grants
    /// it again. Call it on a tokio runtime that lives as long as the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if the file cannot be opened, is damaged, or is open already.
    pub async fn open(path: &Path, visibility: Duration) -> Result<Self, QueueError> {
        let path = path.to_owned();
        let opening = blocking(move || {
            // Without this check, redb may panic on a damaged file.
            let db = Database::builder().set_check_integrity_on_open(true).create(path)?;
            let tx = db.begin_write()?;
            // Created here, because a read transaction fails without its tables.
            tx.open_table(JOBS)?;
            tx.open_table(DEAD)?;
            let opened_at_ns = advance_clock(&tx, later(0, SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()))?;
            tx.commit()?;
            Ok((db, opened_at_ns))
        });
        let (db, opened_at_ns) = opening.await?;
        let (runtime, opened) = (Handle::current(), Instant::now());
        let (writing, changed) = (Arc::default(), Notify::new());
        Ok(Self { shared: Arc::new(Shared { db, visibility, runtime, writing, changed, opened, opened_at_ns }) })
    }

    /// Returns the newest dead letters, at most `limit`, newest first.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let letters = self.read(move |tx, _| {
            let dead = tx.open_table(DEAD)?;
            let letters = dead.iter()?.rev().take(limit as usize).map(|entry| {
                let (_, row) = entry?;
                let (hash, attempts, reason) = row.value();
                Ok(DeadLetter { hash: parse_hash(hash)?, reason: FailureReason::new(reason), attempts })
            });
            letters.collect()
        });
        letters.await
    }

    fn now_ns(&self) -> u64 {
        later(self.shared.opened_at_ns, self.shared.opened.elapsed())
    }

    /// Passes a consistent view and its time to `look`.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction, u64) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, QueueError> {
        let queue = self.clone();
        blocking(move || look(&queue.shared.db.begin_read()?, queue.now_ns())).await
    }

    /// Passes a transaction and its time to `change`, and commits if it returns something.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction, u64) -> Result<Option<T>, Error> + Send + 'static,
    ) -> Result<Option<T>, QueueError> {
        let (queue, turn) = (self.clone(), Arc::clone(&self.shared.writing).lock_owned().await);
        let writing = blocking(move || {
            let _turn = turn;
            let tx = queue.shared.db.begin_write()?;
            let now_ns = advance_clock(&tx, queue.now_ns())?;
            let changed = change(&tx, now_ns)?;
            if changed.is_some() {
                tx.commit()?;
                // Here, because the caller may not be waiting any more.
                queue.shared.changed.notify_waiters();
            }
            Ok(changed)
        });
        writing.await
    }

    /// Takes the job of a valid lease off the queue, and puts back what `change` returns.
    async fn change_leased(
        &self,
        lease: LeaseId,
        change: impl FnOnce(&WriteTransaction, StoredJob, u64) -> Result<Option<StoredJob>, Error> + Send + 'static,
    ) -> Result<(), QueueError> {
        let changed = self.write(move |tx, now_ns| {
            let mut jobs = tx.open_table(JOBS)?;
            let is_held = |job: &StoredJob| job.lease.is_some_and(|(id, _)| id == lease);
            // A valid lease ends in the future.
            let found = scan(&jobs, now_ns.saturating_add(1))?.find(|job| job.as_ref().map_or(true, is_held));
            let Some(job) = found.transpose()? else { return Ok(None) };
            job.remove(&mut jobs)?;
            if let Some(job) = change(tx, job, now_ns)? {
                job.insert(&mut jobs)?;
            }
            Ok(Some(()))
        });
        changed.await?.ok_or(QueueError::LeaseLost)
    }

    /// Waits for a visible job and leases it.
    async fn take(&self) -> Result<Held, QueueError> {
        loop {
            // Subscribed before the look, so that no change in between is missed.
            let changed = self.shared.changed.notified();
            let next = self.read(|tx, now_ns| {
                let first = scan(&tx.open_table(JOBS)?, 0)?.next().transpose()?;
                Ok(first.map_or(Duration::MAX, |job| Duration::from_nanos(job.visible_ns.saturating_sub(now_ns))))
            });
            let wait = next.await?;
            if !wait.is_zero() {
                // Look again in both cases: after a change and after the wait.
                let _ = timeout(wait, changed).await;
            } else if let Some(held) = self.try_take().await? {
                return Ok(held);
            }
        }
    }

    /// Leases the next job, unless another call was faster.
    async fn try_take(&self) -> Result<Option<Held>, QueueError> {
        let queue = self.clone();
        let taken = self.write(move |tx, now_ns| {
            let mut jobs = tx.open_table(JOBS)?;
            let first = scan(&jobs, 0)?.next().transpose()?;
            let Some(job) = first.filter(|job| job.visible_ns <= now_ns) else { return Ok(None) };
            job.remove(&mut jobs)?;
            let was_attempted = job.lease.is_some_and(|(_, is_extended)| is_extended);
            let attempts = job.attempts.saturating_add(u32::from(was_attempted));
            let (lease, visible_ns) = (LeaseId::random(), later(now_ns, queue.shared.visibility));
            StoredJob { visible_ns, attempts, lease: Some((lease, false)), ..job }.insert(&mut jobs)?;
            let job = Job::new(job.hash, JobPayload::Stored);
            Ok(Some(Held { queue, lease, job, attempt: attempts.saturating_add(1), is_open: true }))
        });
        taken.await
    }

    /// Makes the job of a lease visible at once, as if the lease had expired.
    async fn release(&self, lease: LeaseId) -> Result<(), QueueError> {
        self.change_leased(lease, |_, job, now_ns| Ok(Some(StoredJob { visible_ns: now_ns, ..job }))).await
    }
}

#[async_trait]
impl JobQueue for RedbQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        if !matches!(job.payload, JobPayload::Stored) {
            return Err(QueueError::TooLarge { max_bytes: 0 });
        }
        let published = self.write(move |tx, now_ns| {
            let (hash, mut jobs) = (job.hash, tx.open_table(JOBS)?);
            let text = hash.to_string();
            tx.open_table(DEAD)?.retain(|_, (dead, _, _)| dead != text)?;
            let is_repeat = |job: &StoredJob| job.hash == hash && !job.is_leased(now_ns);
            let waiting = scan(&jobs, 0)?.find(|job| job.as_ref().map_or(true, is_repeat));
            if waiting.transpose()?.is_none() {
                let (visible_ns, published_ns) = (now_ns, now_ns);
                StoredJob { visible_ns, published_ns, hash, attempts: 0, lease: None }.insert(&mut jobs)?;
            }
            Ok(Some(()))
        });
        published.await.map(drop)
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(self.take().await?))
    }

    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        Some(self)
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(self.states(&[*hash]).await?.pop().unwrap_or(JobState::Absent))
    }

    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        let reading = self.read(|tx, now_ns| {
            let (mut states, mut before) = (HashMap::new(), 0);
            for job in scan(&tx.open_table(JOBS)?, 0)? {
                let job = job?;
                if job.is_leased(now_ns) {
                    // Also if a repeat waits, because a worker is busy with the song.
                    states.insert(job.hash, JobState::Leased);
                } else {
                    states.entry(job.hash).or_insert(JobState::Waiting { before });
                    before += 1;
                }
            }
            Ok(states)
        });
        let states = reading.await?;
        Ok(hashes.iter().map(|hash| states.get(hash).copied().unwrap_or(JobState::Absent)).collect())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let reading = self.read(|tx, now_ns| {
            let jobs: Vec<_> = scan(&tx.open_table(JOBS)?, 0)?.collect::<Result<_, _>>()?;
            let (leased, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.is_leased(now_ns));
            let oldest = waiting.iter().map(|job| now_ns.saturating_sub(job.published_ns)).max();
            Ok(Depth {
                waiting: waiting.len() as u64,
                leased: Some(leased.len() as u64),
                dead: tx.open_table(DEAD)?.len()?,
                oldest: oldest.map(Duration::from_nanos),
            })
        });
        reading.await
    }
}

#[async_trait]
impl DurableLeases for RedbQueue {
    async fn grant(&self) -> Result<LeasedJob, QueueError> {
        let mut held = self.take().await?;
        held.is_open = false;
        let visibility = self.shared.visibility;
        let &Job { hash, model, key, trace, .. } = &held.job;
        Ok(LeasedJob { lease: held.lease, hash, model, key, trace, attempt: held.attempt, visibility })
    }

    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        let visibility = self.shared.visibility;
        let extended = self.change_leased(lease, move |_, job, now_ns| {
            Ok(Some(StoredJob { visible_ns: later(now_ns, visibility), lease: Some((lease, true)), ..job }))
        });
        extended.await
    }

    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError> {
        let settled = self.change_leased(lease, move |tx, job, now_ns| {
            let attempts = job.attempts.saturating_add(1);
            let (after, attempts) = match failure {
                None => return Ok(None),
                Some(Failure::Never { reason }) => {
                    let letter = (&*job.hash.to_string(), attempts, reason.as_str());
                    tx.open_table(DEAD)?.insert(now_ns, letter)?;
                    return Ok(None);
                }
                Some(Failure::Retry { after }) => (after, attempts),
                Some(Failure::Later { after }) => (after, job.attempts),
            };
            Ok(Some(StoredJob { visible_ns: later(now_ns, after), attempts, lease: None, ..job }))
        });
        settled.await
    }
}

/// A lease of this process. Dropping it releases the job in the background.
struct Held {
    queue: RedbQueue,
    lease: LeaseId,
    job: Job,
    attempt: u32,
    is_open: bool,
}

impl Held {
    async fn settle(mut self: Box<Self>, failure: Option<Failure>) -> Result<(), QueueError> {
        let settled = self.queue.settle(self.lease, failure).await;
        // If the settlement failed, the lease expires.
        self.is_open = false;
        settled
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_open {
            let (queue, lease) = (self.queue.clone(), self.lease);
            // The lease expires if this fails, or if the process ends first.
            self.queue.shared.runtime.spawn(async move { queue.release(lease).await });
        }
    }
}

#[async_trait]
impl Lease for Held {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn visibility(&self) -> Duration {
        self.queue.shared.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        self.queue.extend(self.lease).await
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.settle(Some(failure)).await
    }
}

/// Runs file access outside the async threads. It completes even if the caller stops waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, QueueError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| QueueError::Unavailable(error.into())),
        Err(error) => Err(QueueError::Unavailable(error.into())),
    }
}
