//! Opening the database.

use std::borrow::Cow;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr as _, Sqlite, Transaction};
use thiserror::Error;
use vocalizer_core::ports::QueueError;

use super::file::{Files, create};

/// How long a write waits for other writers, mainly the store in the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The table of applied queue migrations; the store in the same file has its own.
const TABLE: &str = "queue_migrations";

/// All migrations, oldest first. Never change a released one: files that already have it would not get the change.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "jobs", include_str!("../../migrations/sqlite/0001_jobs.sql")),
    (2, "delays", include_str!("../../migrations/sqlite/0002_delays.sql")),
    (3, "durable leases", include_str!("../../migrations/sqlite/0003_durable_leases.sql")),
];

/// An error from opening a file.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    #[error("cannot open {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{} was written by a newer version of Vocalizer (queue migration {version}); upgrade this program",
        path.display()
    )]
    Newer { path: PathBuf, version: i64 },
    #[error("cannot migrate the queue in {}", path.display())]
    Migrate { path: PathBuf, source: MigrateError },
}

/// The open database.
pub(super) struct Database {
    files: Files,
    pool: SqlitePool,
    /// Whether the connection must be reopened.
    is_suspect: Arc<AtomicBool>,
}

impl Database {
    /// Opens the file, creating it if it is missing, and applies migrations.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        create(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let files = Files::open(path, &options).await;
        let files = files.map_err(|source| OpenError::Migrate { path: path.to_owned(), source: source.into() })?;
        let is_suspect = Arc::<AtomicBool>::default();
        let suspect = Arc::clone(&is_suspect);
        // A single connection: statements run in order, and none fails because of a parallel one.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(move |_, _| {
                let is_suspect = suspect.swap(false, Ordering::Relaxed);
                Box::pin(async move { Ok(!is_suspect) })
            })
            .after_release(|connection, _| Box::pin(is_usable(connection)))
            .connect_lazy_with(options);
        match migrate(&pool).await {
            Ok(()) => Ok(Self { files, pool, is_suspect }),
            Err(MigrateError::VersionMissing(version)) => Err(OpenError::Newer { path: path.to_owned(), version }),
            Err(source) => Err(OpenError::Migrate { path: path.to_owned(), source }),
        }
    }

    /// Returns the pool for reads.
    pub(super) fn read(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins a write transaction, with SQLite's lock from the start.
    pub(super) async fn write(&self) -> Result<Step<'_>, QueueError> {
        self.check_files()?;
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(|error| {
            // A connection that was opened while its files were not writable stays read-only.
            self.is_suspect.store(true, Ordering::Relaxed);
            QueueError::Unavailable(error.into())
        })?;
        Ok(Step { transaction, database: self })
    }

    fn check_files(&self) -> Result<(), QueueError> {
        self.files.check().map_err(|error| QueueError::Unavailable(error.into()))
    }
}

/// A write transaction. Dropping it rolls back.
pub(super) struct Step<'a> {
    transaction: Transaction<'static, Sqlite>,
    database: &'a Database,
}

impl Step<'_> {
    /// Commits. On return all writes are durable.
    pub(super) async fn commit(self) -> Result<(), QueueError> {
        self.transaction.commit().await.map_err(|error| QueueError::Unavailable(error.into()))?;
        // If the log was removed before the commit, the commit is lost.
        self.database.check_files()
    }
}

impl Deref for Step<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Step<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// Whether the connection can be reused. After `SQLITE_FULL` and `SQLITE_IOERR` SQLite has already rolled back. The
/// `ROLLBACK` of sqlx then fails, and sqlx counts a transaction that does not exist: such a connection is closed.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A dropped transaction only queues its rollback, which runs before this ping returns.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Applies missing migrations in one transaction; SQLite's lock admits one process at a time.
async fn migrate(pool: &SqlitePool) -> Result<(), MigrateError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    transaction.ensure_migrations_table(TABLE).await?;
    let applied = transaction.list_applied_migrations(TABLE).await?;
    if let Some(newer) = applied.iter().find(|applied| MIGRATIONS.iter().all(|(known, ..)| *known != applied.version)) {
        return Err(MigrateError::VersionMissing(newer.version));
    }
    for (version, name, sql) in MIGRATIONS {
        if applied.iter().all(|applied| applied.version != version) {
            let sql = sql.into_sql_str();
            let migration = Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false);
            transaction.apply(TABLE, &migration).await?;
        }
    }
    Ok(transaction.commit().await?)
}
