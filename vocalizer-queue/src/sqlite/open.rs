//! Opening the file.

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

/// How long a write waits for those of others, the store's above all, which are in the same file.
const BUSY: Duration = Duration::from_secs(10);

/// Which migrations of the queue a file has had; the store in the same file keeps its own list.
const TABLE: &str = "queue_migrations";

/// Every migration, oldest first. One that was released is never changed: what has it already would not get the change.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "jobs", include_str!("../../migrations/sqlite/0001_jobs.sql")),
    (2, "delays", include_str!("../../migrations/sqlite/0002_delays.sql")),
    (3, "durable leases", include_str!("../../migrations/sqlite/0003_durable_leases.sql")),
];

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    #[error("{} cannot be opened", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} was written by a newer version of Vocalizer: it has migration {version} of the queue", path.display())]
    Newer { path: PathBuf, version: i64 },
    #[error("the queue in {} cannot be brought up to date", path.display())]
    Migrate { path: PathBuf, source: MigrateError },
}

/// The file, open.
pub(super) struct Database {
    files: Files,
    pool: SqlitePool,
    /// Whether the connection is to be opened anew.
    is_suspect: Arc<AtomicBool>,
}

impl Database {
    /// Opens the file, creating it where it is missing, and brings it up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        create(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let files = Files::open(path, &options).await;
        let files = files.map_err(|source| OpenError::Migrate { path: path.to_owned(), source: source.into() })?;
        let is_suspect = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&is_suspect);
        // One connection: its statements follow each other, and none has to be thrown away for one beside it.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(move |_, _| {
                let is_suspect = asked.swap(false, Ordering::Relaxed);
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

    /// Where to read.
    pub(super) fn read(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins a step that writes, with SQLite's lock from the start.
    pub(super) async fn write(&self) -> Result<Step<'_>, QueueError> {
        self.check_files()?;
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(|error| {
            // A connection that was opened while its files could not be written to stays read-only.
            self.is_suspect.store(true, Ordering::Relaxed);
            QueueError::Unavailable(error.into())
        })?;
        Ok(Step { transaction, database: self })
    }

    fn check_files(&self) -> Result<(), QueueError> {
        self.files.check().map_err(|error| QueueError::Unavailable(error.into()))
    }
}

/// A step that writes. Dropped, it has written nothing.
pub(super) struct Step<'a> {
    transaction: Transaction<'static, Sqlite>,
    database: &'a Database,
}

impl Step<'_> {
    /// On return everything that the step wrote is durable.
    pub(super) async fn commit(self) -> Result<(), QueueError> {
        self.transaction.commit().await.map_err(|error| QueueError::Unavailable(error.into()))?;
        // A log that was removed before the commit took it along.
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

/// Whether the next one may have a connection. After `SQLITE_FULL` and `SQLITE_IOERR` SQLite has rolled back by itself. The
/// `ROLLBACK` of sqlx then fails, and sqlx then counts a transaction that does not exist: such a connection is closed.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A dropped transaction only asks for its rollback, which is done before this is answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Applies what is missing: all of it or nothing, and one process at a time, by SQLite's own lock.
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
