//! Transactions. SQLite admits one writer at a time, so they never conflict.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::SongHash;

use super::engine::Statement;
use super::error::repository;
use super::file::Files;
use super::open::SqliteStore;

impl SqliteStore {
    /// Runs a transaction.
    pub(super) async fn attempt<T, F>(&self, step: impl Fn() -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, RepositoryError>>,
    {
        step().await
    }

    /// Runs a single statement and returns the number of affected rows.
    pub(super) async fn write(&self, statement: impl Fn() -> Statement) -> Result<u64, RepositoryError> {
        let mut step = self.begin().await?;
        let done = statement().execute(&mut *step).await.map_err(repository)?;
        step.commit().await?;
        Ok(done.rows_affected())
    }

    /// Runs a single statement and returns its row.
    pub(super) async fn write_row(
        &self,
        statement: impl Fn() -> Statement,
    ) -> Result<Option<SqliteRow>, RepositoryError> {
        let mut step = self.begin().await?;
        let mut rows = statement().fetch_all(&mut *step).await.map_err(repository)?;
        step.commit().await?;
        Ok(rows.pop())
    }

    /// Begins a write transaction. It takes SQLite's lock at once: taken later, it could fail because the data read is
    /// out of date, which waiting does not fix.
    pub(super) async fn begin(&self) -> Result<Step, RepositoryError> {
        check(&self.files)?;
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| {
            // A connection that was opened while its files were not writable stays read-only.
            self.is_suspect.store(true, Ordering::Relaxed);
            repository(error)
        })?;
        Ok(Step { transaction, files: Arc::clone(&self.files) })
    }

    /// Begins a write transaction, which has exclusive access to all songs.
    pub(super) async fn begin_for(&self, _: &SongHash) -> Result<Step, RepositoryError> {
        self.begin().await
    }

    /// Succeeds: the lock of a hash cannot be lost, because there is only one process.
    pub(super) async fn check_lock(&self, _: &mut Step, _: &SongHash) -> Result<(), RepositoryError> {
        Ok(())
    }

    /// Commits. On return all writes are durable.
    pub(super) async fn commit(&self, step: Step) -> Result<(), RepositoryError> {
        step.commit().await
    }

    /// Returns the store itself: logins do not wait for songs.
    pub(super) fn reserved(&self) -> &Self {
        self
    }

    /// Returns the pool for reads.
    pub(super) fn read(&self) -> &SqlitePool {
        &self.readers
    }
}

/// A write transaction. Dropping it rolls back.
pub(super) struct Step {
    transaction: Transaction<'static, Sqlite>,
    files: Arc<Files>,
}

impl Step {
    async fn commit(self) -> Result<(), RepositoryError> {
        self.transaction.commit().await.map_err(repository)?;
        // If the log was removed before the commit, the commit is lost.
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
