//! Transactions, and how they stay atomic across servers.

use std::future::Future;

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Postgres, Transaction, query, query_scalar};
use tokio::time::timeout;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::SongHash;
use vocalizer_sql::postgres::timed_out;

use super::engine::Statement;
use super::error::{is_conflict, repository};
use super::open::PostgresStore;

/// Maximum number of retries after a conflict.
const MAX_RETRIES: u32 = 5;

impl PostgresStore {
    /// Runs a transaction, retries it after a conflict, and ends it on a timeout.
    pub(super) async fn attempt<T, F>(&self, step: impl Fn() -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, RepositoryError>>,
    {
        let attempts = async {
            for _ in 0..MAX_RETRIES {
                match step().await {
                    Err(error) if is_conflict(&error) => {}
                    done => return done,
                }
            }
            step().await
        };
        let max_time = self.settings.acquire_timeout + self.settings.statement_timeout;
        timeout(max_time, attempts).await.unwrap_or_else(|_| Err(repository(timed_out())))
    }

    /// Runs a single statement and returns the number of affected rows.
    pub(super) async fn write(&self, statement: impl Fn() -> Statement) -> Result<u64, RepositoryError> {
        self.attempt(|| async {
            let done = statement().execute(self.write_pool().await).await.map_err(repository)?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// Runs a single statement and returns its row.
    pub(super) async fn write_row(&self, statement: impl Fn() -> Statement) -> Result<Option<PgRow>, RepositoryError> {
        self.attempt(|| async { statement().fetch_optional(self.write_pool().await).await.map_err(repository) }).await
    }

    /// Begins a transaction. Each statement sees what was committed before it, so rows must be locked before they are
    /// read.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, RepositoryError> {
        self.write_pool().await.begin().await.map_err(repository)
    }

    /// Begins a transaction with exclusive access to the songs and the outbox entry of a hash.
    pub(super) async fn begin_for(&self, hash: &SongHash) -> Result<Transaction<'static, Postgres>, RepositoryError> {
        let mut step = self.begin().await?;
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        query("SELECT pg_advisory_xact_lock($1)")
            .bind(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        Ok(step)
    }

    /// Fails if this server took the lock of a hash and has lost it. Until the end of the transaction no other server
    /// can take it.
    pub(super) async fn check_lock(&self, step: &mut PgConnection, hash: &SongHash) -> Result<(), RepositoryError> {
        const SQL: &str = "SELECT term FROM locks WHERE name = $1 AND term = $2 FOR SHARE";
        let name = hash.to_string();
        let Some(term) = self.local_state.locks.term(&name) else { return Ok(()) };
        let found: Option<i64> =
            query_scalar(SQL).bind(name).bind(term).fetch_optional(step).await.map_err(repository)?;
        found.map(|_| ()).ok_or_else(|| RepositoryError::Unavailable("the lock on the file was lost".into()))
    }

    pub(super) async fn commit(&self, step: Transaction<'static, Postgres>) -> Result<(), RepositoryError> {
        self.commits.finish(step, self.settings.statement_timeout).await
    }

    /// Returns the pool for reads.
    pub(super) fn read(&self) -> &PgPool {
        &self.pool
    }

    /// Returns the pool for writes, after earlier commits have completed.
    pub(super) async fn write_pool(&self) -> &PgPool {
        self.commits.wait_for_abandoned().await;
        &self.pool
    }
}
