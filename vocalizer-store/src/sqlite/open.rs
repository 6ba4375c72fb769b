//! Opening the file.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};
use time::OffsetDateTime;
use vocalizer_core::ports::RepositoryError;

use super::error::{SqliteError, repository};
use super::migrations;

/// How long a write waits for those of others, the queue's above all, which may be in the same file.
const BUSY: Duration = Duration::from_secs(10);

/// Reads that go on at once; more wait their turn.
const READERS: u32 = 4;

/// Songs, users and the outbox in a SQLite file: a [`SongRepository`](vocalizer_core::ports::SongRepository) and an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository).
///
/// What a call has written is on the disk when it returns. Clones share their connections: one that writes, so that
/// writers queue up here in their order, and a few that read beside it and never wait for it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Who is at which wish of the outbox, and until when: there is one process, and it forgets when it ends.
    claims: Arc<Mutex<HashMap<i64, OffsetDateTime>>>,
}

impl SqliteStore {
    /// Opens a database, making it where it is missing, readable by its owner alone, and brings it up to date.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open(path: &Path) -> Result<Self, SqliteError> {
        let store = Self::open_without_migrating(path).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database and changes nothing in it: for those who ask what [`Self::migrate`] would do. Everything else
    /// may fail until it has been done.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open_without_migrating(path: &Path) -> Result<Self, SqliteError> {
        make(path).map_err(|source| SqliteError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = pool(1, options.clone());
        let readers = pool(READERS, options.pragma("query_only", "ON"));
        let store = Self { path: path.to_owned(), writer, readers, claims: Arc::default() };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// The migrations that the database lacks, oldest first, by number and name.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, SqliteError> {
        migrations::pending(&self.writer).await.map_err(|error| self.failed(error))
    }

    /// Brings the database up to date and says what that took. A failed one has changed nothing, a repeat changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn migrate(&self) -> Result<Vec<String>, SqliteError> {
        migrations::apply(&self.writer).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: MigrateError) -> SqliteError {
        let path = self.path.clone();
        match error {
            MigrateError::VersionMissing(version) => SqliteError::Newer { path, version },
            error => SqliteError::Database { path, source: error.into() },
        }
    }

    /// Begins a step that writes. It takes SQLite's lock at once: one that took it later could find that what it read
    /// is out of date, which no waiting mends.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>, RepositoryError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(repository)
    }

    /// The claims on wishes.
    pub(super) fn claims(&self) -> MutexGuard<'_, HashMap<i64, OffsetDateTime>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to read.
    pub(super) fn read(&self) -> &SqlitePool {
        &self.readers
    }
}

fn pool(connections: u32, options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
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
