//! The queue itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{
    DeadLetter, Depth, DurableLeases, Failure, Job, JobPayload, JobQueue, JobState, Lease, LeaseId, LeasedJob,
    QueueError,
};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;

use super::connections::Connections;
use super::jobs::{Jobs, Next};
use super::listen::listen;
use super::open::{OpenError, PostgresQueueSettings, migrate, options, place};
use crate::finish::finished;

/// How long to wait at least before looking again: what is ready may be locked by somebody for a moment.
const SHORTEST: Duration = Duration::from_millis(10);

/// A [`JobQueue`] in a PostgreSQL database, its own or the one that the songs are in, for any number of servers.
///
/// Jobs are rows. They are taken with `FOR UPDATE SKIP LOCKED` and announced with `NOTIFY`; where no notification comes,
/// as behind a pooler that shares connections, servers look every two seconds. A lease is a row, too, and runs by the
/// database's clock: what a dead process held comes again when its lease has run out, and
/// [durable leases](JobQueue::durable_leases) are extended and settled by any server. A connection whose statement was not
/// answered is closed and never used again. Clones are handles to the same connections. What the port leaves open, this
/// queue does so:
///
/// - It carries hashes alone. A job whose payload is not [`JobPayload::Stored`] is [`QueueError::TooLarge`].
/// - Jobs come in the order in which they became ready, as in [`MemoryQueue`](crate::MemoryQueue). A repeat of a job that
///   waits is dropped, one of a job that is leased is kept. A job that is published again is no dead letter any more.
/// - It counts attempts and puts no end to them: when to give up is the worker's decision, with [`Failure::Never`].
/// - What a call has begun is finished when the call is dropped.
///
/// Its tables are `queue_jobs`, `queue_dead_letters` and `queue_migrations`. Must be used within a tokio runtime, with time
/// and I/O.
#[derive(Clone)]
pub struct PostgresQueue {
    shared: Arc<Shared>,
}

struct Shared {
    place: String,
    jobs: Jobs,
    poll: Duration,
    changed: Arc<Notify>,
    /// Held by the one who looks for a job: many who wait are no reason to ask more than once.
    turn: Mutex<()>,
    listening: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl PostgresQueue {
    /// Opens the queue and brings its tables up to date; several servers may do so at once. The URL is one of
    /// `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]: the URL is none, nobody answers there or lets this user in, or the tables were made by
    /// a newer version.
    pub async fn open(url: &Secret<String>, settings: PostgresQueueSettings) -> Result<Self, QueueError> {
        let options = options(url, &settings).map_err(unavailable)?;
        migrate(&options, settings.acquire_timeout).await.map_err(unavailable)?;
        let changed = Arc::<Notify>::default();
        let listening = listen(options.clone(), settings.acquire_timeout, Arc::clone(&changed));
        let shared = Shared {
            place: place(&options),
            jobs: Jobs { connections: Connections::new(options, &settings), visibility: settings.visibility },
            poll: settings.poll,
            changed,
            turn: Mutex::default(),
            listening: tokio::spawn(listening).abort_handle(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Brings the tables up to date and says what that took; a repeat changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn migrate(url: &Secret<String>) -> Result<Vec<String>, QueueError> {
        let settings = PostgresQueueSettings::default();
        let options = options(url, &settings).map_err(unavailable)?;
        migrate(&options, settings.acquire_timeout).await.map_err(unavailable)
    }

    /// Waits for a job and leases it.
    async fn take(&self, counts: bool) -> Result<PostgresLease, QueueError> {
        let _turn = self.shared.turn.lock().await;
        loop {
            // Listening begins here, before looking: a job that is announced in between is not slept over.
            let changed = self.shared.changed.notified();
            let shared = Arc::clone(&self.shared);
            let wait = match finished(try_take(shared, counts)).await? {
                Ok(lease) => return Ok(lease),
                Err(next) => next.map_or(self.shared.poll, |next| next.clamp(SHORTEST, self.shared.poll.max(SHORTEST))),
            };
            tokio::select! {
                () = changed => {}
                () = sleep(wait) => {}
            }
        }
    }
}

/// Leases the next job, or says in how long there may be one. Nobody may be left to be told of it.
async fn try_take(shared: Arc<Shared>, counts: bool) -> Result<Result<PostgresLease, Option<Duration>>, QueueError> {
    let lease = LeaseId::random();
    let taken = shared.jobs.take(lease, counts).await;
    match taken {
        Ok(Next::Job(leased)) => Ok(Ok(PostgresLease::new(shared, leased))),
        Ok(Next::In(next)) => Ok(Err(next)),
        Err(error) => {
            // The job may have been taken, and the answer lost.
            tokio::spawn(async move { shared.jobs.untake(lease).await });
            Err(error)
        }
    }
}

fn unavailable(error: OpenError) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// Tells where it is, without the password.
impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresQueue").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

#[async_trait]
impl JobQueue for PostgresQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        if !matches!(job.payload, JobPayload::Stored) {
            return Err(QueueError::TooLarge { max_bytes: 0 });
        }
        let shared = Arc::clone(&self.shared);
        finished(async move { shared.jobs.publish(job.hash).await }).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(self.take(true).await?.told()))
    }

    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        Some(self)
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.shared.jobs.state(hash).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.shared.jobs.depth().await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.shared.jobs.dead_letters(limit).await
    }
}

#[async_trait]
impl DurableLeases for PostgresQueue {
    async fn grant(&self) -> Result<LeasedJob, QueueError> {
        Ok(self.take(false).await?.keep())
    }

    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        let shared = Arc::clone(&self.shared);
        finished(async move { shared.jobs.extend(lease).await }).await
    }

    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError> {
        let shared = Arc::clone(&self.shared);
        finished(async move { shared.jobs.settle(lease, failure.as_ref()).await }).await
    }
}

/// What becomes of a lease whose value is dropped.
#[derive(Clone, Copy)]
enum Dropped {
    /// Nobody was told of it: the job goes back, and there was no attempt.
    GoesBack,
    /// Somebody was at it: the job comes again.
    ComesAgain,
    /// It goes on without the value, or was settled.
    Nothing,
}

struct PostgresLease {
    shared: Arc<Shared>,
    leased: LeasedJob,
    job: Job,
    dropped: Dropped,
    runtime: Handle,
}

impl PostgresLease {
    fn new(shared: Arc<Shared>, leased: LeasedJob) -> Self {
        let job = Job { hash: leased.hash, payload: JobPayload::Stored };
        Self { shared, leased, job, dropped: Dropped::GoesBack, runtime: Handle::current() }
    }

    fn told(mut self) -> Self {
        self.dropped = Dropped::ComesAgain;
        self
    }

    fn keep(mut self) -> LeasedJob {
        self.dropped = Dropped::Nothing;
        self.leased
    }

    async fn settle(mut self: Box<Self>, failure: Option<Failure>) -> Result<(), QueueError> {
        self.dropped = Dropped::Nothing;
        let (shared, lease) = (Arc::clone(&self.shared), self.leased.lease);
        finished(async move { shared.jobs.settle(lease, failure.as_ref()).await }).await
    }
}

#[async_trait]
impl Lease for PostgresLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.leased.attempt
    }

    fn visibility(&self) -> Duration {
        self.leased.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        let (shared, lease) = (Arc::clone(&self.shared), self.leased.lease);
        finished(async move { shared.jobs.extend(lease).await }).await
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.settle(Some(failure)).await
    }
}

impl Drop for PostgresLease {
    fn drop(&mut self) {
        let was_attempt = match self.dropped {
            Dropped::Nothing => return,
            Dropped::GoesBack => false,
            Dropped::ComesAgain => true,
        };
        let (shared, lease) = (Arc::clone(&self.shared), self.leased.lease);
        self.runtime.spawn(async move {
            let again = Failure::Retry { after: Duration::ZERO };
            let put_back = match was_attempt {
                true => shared.jobs.settle(lease, Some(&again)).await,
                false => shared.jobs.untake(lease).await,
            };
            if let Err(error @ QueueError::Unavailable(_)) = put_back {
                tracing::warn!(
                    error = chain(&error),
                    "a job could not be put back; it comes again when its lease ends"
                );
            }
        });
    }
}
