//! Opening the file.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use thiserror::Error;

/// How long a write waits for those of others, the store's above all, which are in the same file.
const BUSY: Duration = Duration::from_secs(10);

/// Which migrations of the queue a file has had; the store in the same file keeps its own list.
const TABLE: &str = "queue_migrations";

/// Every migration, oldest first. One that was released is never changed: what has it already would not get the change.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "jobs", include_str!("../../migrations/sqlite/0001_jobs.sql"))];

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

/// Opens the file, making it where it is missing, and brings it up to date.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, OpenError> {
    make(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY);
    // One connection: its statements follow each other, and none has to be thrown away for one beside it.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    match migrate(&pool).await {
        Ok(()) => Ok(pool),
        Err(MigrateError::VersionMissing(version)) => Err(OpenError::Newer { path: path.to_owned(), version }),
        Err(source) => Err(OpenError::Migrate { path: path.to_owned(), source }),
    }
}

/// Makes an empty file, which to SQLite is an empty database, so that it is its owner's alone from the start.
fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(|_| ())
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
