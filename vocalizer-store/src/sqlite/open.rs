//! The [`SqliteStore`] type.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, query, query_scalar};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::RepositoryError;

use super::error::{SqliteError, repository};
use super::file::{Files, create};
use super::migrations;
use crate::files::disk::new_file;

/// How long a write waits for other writers, mainly the queue, which may be in the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of concurrent reads.
const READERS: u32 = 4;

/// Songs, users and the outbox in a SQLite file: a [`SongRepository`](vocalizer_core::ports::SongRepository) and an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository).
///
/// Completed writes are durable. Clones share their connections: one for writing, where writers wait in order, and
/// several for reading, which never wait for writers.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    path: PathBuf,
    pub(super) files: Arc<Files>,
    pub(super) writer: SqlitePool,
    /// Whether the write connection must be reopened.
    pub(super) is_suspect: Arc<AtomicBool>,
    pub(super) readers: SqlitePool,
    /// Claimed outbox entries and when the claims expire. In memory, because there is only one process.
    claims: Arc<Mutex<HashMap<i64, OffsetDateTime>>>,
}

impl SqliteStore {
    /// Opens a database and applies migrations. A missing file is created, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open(path: &Path) -> Result<Self, SqliteError> {
        let store = Self::open_without_migrating(path).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database without migrating it, to find out what [`Self::migrate`] would do. All other calls may fail
    /// until it is migrated.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open_without_migrating(path: &Path) -> Result<Self, SqliteError> {
        create(path).map_err(|source| SqliteError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let failed = |source: sqlx::Error| SqliteError::Database { path: path.to_owned(), source: source.into() };
        let files = Files::open(path, &options).await.map_err(failed)?;
        let is_suspect = Arc::<AtomicBool>::default();
        let writer = pool(1).before_acquire({
            let is_suspect = Arc::clone(&is_suspect);
            move |_, _| {
                let is_suspect = is_suspect.swap(false, Ordering::Relaxed);
                Box::pin(async move { Ok(!is_suspect) })
            }
        });
        let writer = writer.connect_lazy_with(options.clone());
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        open_all(&readers).await.map_err(failed)?;
        let (path, files) = (path.to_owned(), Arc::new(files));
        let store = Self { path, files, writer, is_suspect, readers, claims: Arc::default() };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// Returns the missing migrations by number and name, oldest first.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, SqliteError> {
        migrations::pending(&self.writer).await.map_err(|error| self.failed(error))
    }

    /// Applies missing migrations in one transaction and returns their names.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn migrate(&self) -> Result<Vec<String>, SqliteError> {
        migrations::apply(&self.writer).await.map_err(|error| self.failed(error))
    }

    /// Writes a consistent copy of the database to a new file, accessible to its owner only. Reads and writes continue
    /// meanwhile. On return the copy is durable.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`] for the new file, [`SqliteError::Database`].
    pub async fn backup(&self, to: &Path) -> Result<(), SqliteError> {
        let file = |source| SqliteError::File { path: to.to_owned(), source };
        let name = to
            .to_str()
            .ok_or_else(|| file(io::Error::new(io::ErrorKind::InvalidInput, "the file name is not UTF-8")))?;
        // SQLite accepts an existing empty file and keeps its mode.
        new_file(to).map_err(file)?;
        let copied = query("VACUUM INTO ?").bind(name).execute(&self.writer).await;
        copied.map_err(|error| SqliteError::Database { path: self.path.clone(), source: error.into() })?;
        // SQLite does not sync the copy. No connection has it open yet, so opening it drops no locks.
        let to = to.to_owned();
        let synced = spawn_blocking(move || std::fs::File::open(&to)?.sync_all()).await;
        synced.map_err(io::Error::other).flatten().map_err(file)
    }

    /// Returns the installation ID: created with the database, and the same in a copy of it. Blobs carry the same ID
    /// ([`FileBlobs::claim`](crate::files::FileBlobs::claim)).
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(&self.readers).await.map_err(repository)
    }

    /// Closes all connections. The last connection of all processes checkpoints and removes the log.
    pub async fn close(self) {
        self.writer.close().await;
        self.readers.close().await;
        if let Some(files) = Arc::into_inner(self.files) {
            files.close().await;
        }
    }

    fn failed(&self, error: MigrateError) -> SqliteError {
        let path = self.path.clone();
        match error {
            MigrateError::VersionMissing(version) => SqliteError::Newer { path, version },
            error => SqliteError::Database { path, source: error.into() },
        }
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the claims on outbox entries.
    pub(super) fn claims(&self) -> MutexGuard<'_, HashMap<i64, OffsetDateTime>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_usable(connection)))
}

/// Opens all connections of a pool, and with them the log: a connection opened after the log was replaced would read
/// the wrong one.
async fn open_all(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut opened = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = pool.acquire().await?;
        query("SELECT 1 FROM sqlite_schema").execute(&mut *connection).await?;
        opened.push(connection);
    }
    Ok(())
}

/// Whether the connection can be reused. After `SQLITE_FULL` and `SQLITE_IOERR` SQLite has already rolled back. The
/// `ROLLBACK` of sqlx then fails, and sqlx counts a transaction that does not exist: such a connection is closed.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A dropped transaction only queues its rollback, which runs before this ping returns.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
