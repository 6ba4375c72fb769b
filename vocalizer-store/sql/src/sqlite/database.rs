//! The connections to a file.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, Transaction, query, query_scalar};

use super::error::{SqliteError, WriteError};
use super::file::{Files, create};
use crate::migrations::Migrations;

/// How long a write waits for other writers: stores and queues may share a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open file. Clones share its connections: one for writing, where writers wait in order, and others for reading,
/// which never wait for writers.
#[derive(Debug, Clone)]
pub struct Database {
    path: PathBuf,
    files: Arc<Files>,
    writer: SqlitePool,
    /// Whether the write connection must be reopened.
    is_suspect: Arc<AtomicBool>,
    readers: SqlitePool,
}

impl Database {
    /// Opens a file. A missing one is created, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`] or [`SqliteError::Database`].
    pub async fn open(path: &Path, readers: u32) -> Result<Self, SqliteError> {
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
        // A single connection: statements run in order, and none fails because of a parallel one.
        let writer = pool(1).before_acquire({
            let is_suspect = Arc::clone(&is_suspect);
            move |_, _| {
                let is_suspect = is_suspect.swap(false, Ordering::Relaxed);
                Box::pin(async move { Ok(!is_suspect) })
            }
        });
        let writer = writer.connect_lazy_with(options.clone());
        let readers = pool(readers).connect_lazy_with(options.pragma("query_only", "ON"));
        open_all(&readers).await.map_err(failed)?;
        Ok(Self { path: path.to_owned(), files: Arc::new(files), writer, is_suspect, readers })
    }

    /// Returns the names of the missing migrations, oldest first, without writing anything.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn pending(&self, migrations: &Migrations) -> Result<Vec<String>, SqliteError> {
        let pending = async {
            let mut connection = self.writer.acquire().await?;
            let listed: Option<i64> = query_scalar("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
                .bind(migrations.table)
                .fetch_optional(&mut *connection)
                .await?;
            let missing = match listed {
                Some(_) => migrations.missing(&mut *connection).await?,
                None => migrations.known(),
            };
            Ok(migrations.names(&missing))
        };
        pending.await.map_err(|error| self.failed(migrations, error))
    }

    /// Applies missing migrations in one transaction and returns their names. SQLite's lock admits one process at a
    /// time.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn migrate(&self, migrations: &Migrations) -> Result<Vec<String>, SqliteError> {
        let applied = async {
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            transaction.ensure_migrations_table(migrations.table).await?;
            let applied = migrations.apply(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(applied)
        };
        applied.await.map_err(|error| self.failed(migrations, error))
    }

    fn failed(&self, migrations: &Migrations, error: MigrateError) -> SqliteError {
        let path = self.path.clone();
        match error {
            MigrateError::VersionMissing(version) => SqliteError::Newer { path, table: migrations.table, version },
            error => SqliteError::Database { path, source: error.into() },
        }
    }

    /// Begins a write transaction. It takes SQLite's lock at once: taken later, it could fail because the data read is
    /// out of date, which waiting does not fix.
    ///
    /// # Errors
    ///
    /// Any [`WriteError`].
    pub async fn write(&self) -> Result<Step, WriteError> {
        self.files.check()?;
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.inspect_err(|_| {
            // A connection that was opened while its files were not writable stays read-only.
            self.is_suspect.store(true, Ordering::Relaxed);
        })?;
        Ok(Step { transaction, files: Arc::clone(&self.files) })
    }

    /// Returns the connections for reads.
    #[must_use]
    pub fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a consistent copy to another file. Reads and writes continue meanwhile.
    ///
    /// # Errors
    ///
    /// SQLite's error.
    pub async fn copy_to(&self, path: &str) -> Result<(), sqlx::Error> {
        query("VACUUM INTO ?").bind(path).execute(&self.writer).await.map(|_| ())
    }

    /// Closes all connections. The last connection of all processes checkpoints and removes the log.
    pub async fn close(self) {
        self.writer.close().await;
        self.readers.close().await;
        if let Some(files) = Arc::into_inner(self.files) {
            files.close().await;
        }
    }
}

/// A write transaction. Dropping it rolls back.
#[derive(Debug)]
pub struct Step {
    transaction: Transaction<'static, Sqlite>,
    files: Arc<Files>,
}

impl Step {
    /// Commits. On return all writes are durable.
    ///
    /// # Errors
    ///
    /// Any [`WriteError`].
    pub async fn commit(self) -> Result<(), WriteError> {
        self.transaction.commit().await?;
        // If the log was removed before the commit, the commit is lost.
        Ok(self.files.check()?)
    }
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
