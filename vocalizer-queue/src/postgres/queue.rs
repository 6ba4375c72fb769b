//! The [`PostgresQueue`] type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use vocalizer_core::causes::chain;
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{
    DeadLetter, Depth, DurableLeases, Failure, Job, JobLine, JobPayload, JobQueue, JobState, JobsAhead, Lease, LeaseId,
    LeasedJob, QueueError,
};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;
use vocalizer_sql::Migrations;
use vocalizer_sql::postgres::{Database, PostgresError};

use super::connections::Connections;
use super::jobs::{Jobs, Next};
use super::listen::listen;
use super::settings::PostgresQueueSettings;
use crate::finish::run_to_completion;

const MIGRATIONS: Migrations = Migrations {
    table: "queue_migrations",
    prefix: "queue ",
    all: &[
        (1, "jobs", include_str!("../../migrations/postgres/0001_jobs.sql")),
        (2, "lines", include_str!("../../migrations/postgres/0002_lines.sql")),
        (3, "models", include_str!("../../migrations/postgres/0003_models.sql")),
        (4, "traces", include_str!("../../migrations/postgres/0004_traces.sql")),
    ],
};

/// The advisory lock for migrations. The store uses another number.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"vocajobs");

/// Minimum pause between polls: a ready job may be locked for a moment by another server.
const MIN_POLL: Duration = Duration::from_millis(10);

/// A [`JobQueue`] in a PostgreSQL database, separate or shared with the songs, for any number of servers.
///
/// Jobs are rows, taken with `FOR UPDATE SKIP LOCKED` and announced with `NOTIFY`. Without notifications, as behind a
/// pooler in transaction mode, servers poll every two seconds. Leases are stored in the rows and use the database's
/// clock: the jobs of a dead process are delivered again when their leases expire, and any server can extend and settle
/// [durable leases](JobQueue::durable_leases). A connection whose statement failed is closed and not reused. Clones
/// share their connections. Where the port leaves a choice, this queue behaves as follows:
///
/// - It stores only hashes and models. A payload other than [`JobPayload::Stored`] is [`QueueError::TooLarge`].
/// - It is fair, as [`MemoryQueue`](crate::MemoryQueue). Servers that lease at the same moment may both get a job from the
///   same line. A repeat of a
///   waiting job is dropped; a repeat of a leased job is kept. Publishing a job again removes its dead letter.
/// - Attempts are counted without a limit; the worker decides when to give up, with [`Failure::Never`].
/// - An operation that has started completes even if its future is dropped.
///
/// Its tables are `queue_jobs`, `queue_lines`, `queue_dead_letters` and `queue_migrations`. Requires a tokio runtime with time and I/O
/// enabled.
#[derive(Clone)]
pub struct PostgresQueue {
    shared: Arc<Shared>,
}

struct Shared {
    place: String,
    jobs: Jobs,
    poll: Duration,
    changed: Arc<Notify>,
    /// Held while polling, so that many waiting callers send one query.
    turn: Mutex<()>,
    listening: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl PostgresQueue {
    /// Opens the queue and applies migrations; several servers may do so at once. The URL has the form
    /// `postgres://user:password@host:port/database`. Connections to other machines use verified TLS unless the URL or
    /// `PGSSLMODE` says otherwise.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if the URL is invalid, the connection or login fails, or a newer version created the
    /// tables.
    pub async fn open(url: &Secret<String>, settings: PostgresQueueSettings) -> Result<Self, QueueError> {
        let database = database(url, &settings)?;
        database.migrate(&MIGRATIONS, MIGRATION_LOCK).await.map_err(unavailable)?;
        let changed = Arc::<Notify>::default();
        let listening = listen(database.options().clone(), settings.acquire_timeout, Arc::clone(&changed));
        let shared = Shared {
            place: database.place().to_owned(),
            jobs: Jobs { connections: Connections::new(&database, &settings), visibility: settings.visibility },
            poll: settings.poll,
            changed,
            turn: Mutex::default(),
            listening: tokio::spawn(listening).abort_handle(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Applies missing migrations and returns their names.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn migrate(url: &Secret<String>) -> Result<Vec<String>, QueueError> {
        let database = database(url, &PostgresQueueSettings::default())?;
        database.migrate(&MIGRATIONS, MIGRATION_LOCK).await.map_err(unavailable)
    }

    /// Returns the newest dead letters, at most `limit`, newest first. Publishing a
    /// job again removes its dead letter.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.shared.jobs.dead_letters(limit).await
    }

    /// Waits for a job and leases it.
    async fn take(&self, capabilities: &Capabilities, counts: bool) -> Result<PostgresLease, QueueError> {
        // Workers of the default model share one query; others must not wait behind it.
        let _turn = match capabilities.models() {
            None => Some(self.shared.turn.lock().await),
            Some(_) => None,
        };
        loop {
            // Subscribe before querying, so that no notification in between is missed.
            let changed = self.shared.changed.notified();
            let shared = Arc::clone(&self.shared);
            let wait = match run_to_completion(try_take(shared, capabilities.clone(), counts)).await? {
                Next::Job(lease) => return Ok(lease),
                Next::In(next) => {
                    next.map_or(self.shared.poll, |next| next.clamp(MIN_POLL, self.shared.poll.max(MIN_POLL)))
                }
            };
            tokio::select! {
                () = changed => {}
                () = sleep(wait) => {}
            }
        }
    }
}

/// Leases the next job, or returns the time until the next one. The caller may be gone when this completes.
async fn try_take(
    shared: Arc<Shared>,
    capabilities: Capabilities,
    counts: bool,
) -> Result<Next<PostgresLease>, QueueError> {
    let lease = LeaseId::random();
    let taken = shared.jobs.take(lease, &capabilities, counts).await;
    match taken {
        Ok(Next::Job(leased)) => Ok(Next::Job(PostgresLease::new(shared, leased))),
        Ok(Next::In(next)) => Ok(Next::In(next)),
        Err(error) => {
            // The job may have been leased although the response was lost.
            tokio::spawn(async move { shared.jobs.release(lease).await });
            Err(error)
        }
    }
}

fn database(url: &Secret<String>, settings: &PostgresQueueSettings) -> Result<Database, QueueError> {
    Database::new(url, " queue", settings.acquire_timeout, settings.statement_timeout).map_err(unavailable)
}

fn unavailable(error: PostgresError) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// Shows the database without credentials.
impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresQueue").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

#[async_trait]
impl JobQueue for PostgresQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.publish_in(job, JobLine::default()).await
    }

    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        if !matches!(job.payload, JobPayload::Stored) {
            return Err(QueueError::TooLarge { max_bytes: 0 });
        }
        let shared = Arc::clone(&self.shared);
        run_to_completion(async move { shared.jobs.publish(&job, line).await }).await
    }

    async fn move_ahead(&self, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
        let (shared, hash) = (Arc::clone(&self.shared), *hash);
        run_to_completion(async move { shared.jobs.move_ahead(hash, line).await }).await
    }

    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        let (shared, hash) = (Arc::clone(&self.shared), *hash);
        run_to_completion(async move { shared.jobs.withdraw(hash).await }).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.lease_for(&Capabilities::default()).await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(self.take(capabilities, true).await?.delivered()))
    }

    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        Some(self)
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(self.states(&[*hash]).await?.first().copied().unwrap_or(JobState::Absent))
    }

    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        self.shared.jobs.states(hashes).await
    }

    async fn jobs_ahead(&self, key: &SongHash) -> Result<Option<JobsAhead>, QueueError> {
        self.shared.jobs.ahead(key).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.shared.jobs.depth().await
    }
}

#[async_trait]
impl DurableLeases for PostgresQueue {
    async fn grant(&self) -> Result<LeasedJob, QueueError> {
        self.grant_for(&Capabilities::default()).await
    }

    async fn grant_for(&self, capabilities: &Capabilities) -> Result<LeasedJob, QueueError> {
        Ok(self.take(capabilities, false).await?.keep())
    }

    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        let shared = Arc::clone(&self.shared);
        run_to_completion(async move { shared.jobs.extend(lease).await }).await
    }

    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError> {
        let shared = Arc::clone(&self.shared);
        run_to_completion(async move { shared.jobs.settle(lease, failure.as_ref()).await }).await
    }
}

/// What to do when a lease is dropped.
#[derive(Clone, Copy)]
enum Dropped {
    /// It was not delivered: release the job without counting an attempt.
    Release,
    /// A worker had it: re-queue the job and count the attempt.
    Requeue,
    /// It continues without this value, or is settled.
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
        let LeasedJob { hash, model, key, trace, .. } = leased;
        let job = Job { model, key, trace, ..Job::new(hash, JobPayload::Stored) };
        Self { shared, leased, job, dropped: Dropped::Release, runtime: Handle::current() }
    }

    fn delivered(mut self) -> Self {
        self.dropped = Dropped::Requeue;
        self
    }

    fn keep(mut self) -> LeasedJob {
        self.dropped = Dropped::Nothing;
        self.leased
    }

    async fn settle(mut self: Box<Self>, failure: Option<Failure>) -> Result<(), QueueError> {
        self.dropped = Dropped::Nothing;
        let (shared, lease) = (Arc::clone(&self.shared), self.leased.lease);
        run_to_completion(async move { shared.jobs.settle(lease, failure.as_ref()).await }).await
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
        run_to_completion(async move { shared.jobs.extend(lease).await }).await
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
            Dropped::Release => false,
            Dropped::Requeue => true,
        };
        let (shared, lease) = (Arc::clone(&self.shared), self.leased.lease);
        self.runtime.spawn(async move {
            let again = Failure::Retry { after: Duration::ZERO };
            let put_back = match was_attempt {
                true => shared.jobs.settle(lease, Some(&again)).await,
                false => shared.jobs.release(lease).await,
            };
            if let Err(error @ QueueError::Unavailable(_)) = put_back {
                tracing::warn!(
                    error = chain(&error),
                    "returning a job to the queue failed; it is re-queued when its lease expires"
                );
            }
        });
    }
}
