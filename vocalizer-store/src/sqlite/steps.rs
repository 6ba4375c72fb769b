//! Transactions. SQLite admits one writer at a time, so they never conflict.

use std::future::Future;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::SongHash;
use vocalizer_sql::sqlite::{Step, WriteError};

use super::engine::Statement;
use super::error::repository;
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
        self.commit(step).await?;
        Ok(done.rows_affected())
    }

    /// Runs a single statement and returns its row.
    pub(super) async fn write_row(
        &self,
        statement: impl Fn() -> Statement,
    ) -> Result<Option<SqliteRow>, RepositoryError> {
        let mut step = self.begin().await?;
        let mut rows = statement().fetch_all(&mut *step).await.map_err(repository)?;
        self.commit(step).await?;
        Ok(rows.pop())
    }

    /// Begins a write transaction.
    pub(super) async fn begin(&self) -> Result<Step, RepositoryError> {
        self.database.write().await.map_err(written)
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
        step.commit().await.map_err(written)
    }

    /// Returns the store itself: logins do not wait for songs.
    pub(super) fn reserved(&self) -> &Self {
        self
    }

    /// Returns the pool for reads.
    pub(super) fn read(&self) -> &SqlitePool {
        self.database.read()
    }
}

fn written(error: WriteError) -> RepositoryError {
    match error {
        WriteError::Database(error) => repository(error),
        WriteError::Replaced(error) => RepositoryError::Unavailable(error.into()),
    }
}
