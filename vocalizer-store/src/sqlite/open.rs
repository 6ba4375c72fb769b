//! Opening the file.

use std::collections::HashMap;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, Transaction, query, query_scalar};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::RepositoryError;

use super::error::{SqliteError, repository};
use super::file::{Files, create};
use super::migrations;
use crate::files::disk::new_file;

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
    files: Arc<Files>,
    writer: SqlitePool,
    /// Whether the connection that writes is to be opened anew.
    is_suspect: Arc<AtomicBool>,
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
        create(path).map_err(|source| SqliteError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
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

    /// Writes the database, as it is at one moment, to a new file for its owner alone. Others read and write meanwhile. On
    /// return the file is on the disk.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`] for the new file, [`SqliteError::Database`].
    pub async fn backup(&self, to: &Path) -> Result<(), SqliteError> {
        let file = |source| SqliteError::File { path: to.to_owned(), source };
        let name =
            to.to_str().ok_or_else(|| file(io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8")))?;
        // SQLite takes an empty file for none, and keeps its mode.
        new_file(to).map_err(file)?;
        let copied = query("VACUUM INTO ?").bind(name).execute(&self.writer).await;
        copied.map_err(|error| SqliteError::Database { path: self.path.clone(), source: error.into() })?;
        // SQLite does not do that here. Nobody has the copy open yet, so it costs no locks.
        let to = to.to_owned();
        let synced = spawn_blocking(move || std::fs::File::open(&to)?.sync_all()).await;
        synced.map_err(io::Error::other).flatten().map_err(file)
    }

    /// Which installation this is: made with the database, the same in a copy of it. Blobs carry the same
    /// ([`FileBlobs::claim`](crate::files::FileBlobs::claim)).
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(&self.readers).await.map_err(repository)
    }

    /// Closes every connection. The last one of all processes puts what is in the log into the database, and removes the
    /// log.
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

    /// Begins a step that writes. It takes SQLite's lock at once: one that took it later could find that what it read
    /// is out of date, which no waiting mends.
    pub(super) async fn write(&self) -> Result<Step, RepositoryError> {
        check(&self.files)?;
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| {
            // A connection that was opened while its files could not be written to stays read-only.
            self.is_suspect.store(true, Ordering::Relaxed);
            repository(error)
        })?;
        Ok(Step { transaction, files: Arc::clone(&self.files) })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
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

/// A step that writes. Dropped, it has written nothing.
pub(super) struct Step {
    transaction: Transaction<'static, Sqlite>,
    files: Arc<Files>,
}

impl Step {
    /// On return everything that the step wrote is durable.
    pub(super) async fn commit(self) -> Result<(), RepositoryError> {
        self.transaction.commit().await.map_err(repository)?;
        // A log that was removed before the commit took it along.
        check(&self.files)
    }
}

fn check(files: &Files) -> Result<(), RepositoryError> {
    files.check().map_err(|error| RepositoryError::Unavailable(error.into()))
}

impl Deref for Step {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Step {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
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

/// Opens every connection of a pool, and with it the log: one that was opened after the log had been replaced would read
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

/// Whether the next one may have a connection. After `SQLITE_FULL` and `SQLITE_IOERR` SQLite has rolled back by itself. The
/// `ROLLBACK` of sqlx then fails, and sqlx then counts a transaction that does not exist: such a connection is closed.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A dropped transaction only asks for its rollback, which is done before this is answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
