//! Steps: transactions, and what makes them atomic among servers.

use std::future::Future;

use sqlx::postgres::{PgArguments, PgConnection, PgPool};
use sqlx::query::Query;
use sqlx::{Postgres, Transaction, query, query_scalar};
use tokio::time::timeout;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::SongHash;

use super::error::{collided, repository};
use super::open::{PostgresStore, timed_out};

/// How often a step is done anew that got in another's way.
const ANEW: u32 = 5;

/// A statement with what is to be put into it.
pub(super) type Statement = Query<'static, Postgres, PgArguments>;

impl PostgresStore {
    /// Does a step, anew where it collided with another, and ends it where it takes too long.
    pub(super) async fn attempt<T, F>(&self, step: impl Fn() -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, RepositoryError>>,
    {
        let attempts = async {
            for _ in 0..ANEW {
                match step().await {
                    Err(error) if collided(&error) => {}
                    done => return done,
                }
            }
            step().await
        };
        let longest = self.settings.acquire_timeout + self.settings.statement_timeout;
        timeout(longest, attempts).await.unwrap_or_else(|_| Err(repository(timed_out())))
    }

    /// Does a step of one statement, and says how many rows that was for.
    pub(super) async fn write(&self, statement: impl Fn() -> Statement) -> Result<u64, RepositoryError> {
        self.attempt(|| async {
            let done = statement().execute(self.written().await).await.map_err(repository)?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// Begins a step. Each statement sees what was committed before it: what is decided by is locked before it is read.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, RepositoryError> {
        self.written().await.begin().await.map_err(repository)
    }

    /// Begins a step that has the songs and the wish of a hash for itself.
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

    /// Refuses a step on a hash whose lock this server was given and has lost. From here to the step's end nobody takes it.
    pub(super) async fn check_lock(&self, step: &mut PgConnection, hash: &SongHash) -> Result<(), RepositoryError> {
        const SQL: &str = "SELECT term FROM locks WHERE name = $1 AND term = $2 FOR SHARE";
        let name = hash.to_string();
        let Some(term) = self.known.locks.term(&name) else { return Ok(()) };
        let found: Option<i64> =
            query_scalar(SQL).bind(name).bind(term).fetch_optional(step).await.map_err(repository)?;
        found.map(|_| ()).ok_or_else(|| RepositoryError::Unavailable("the lock of the file was lost meanwhile".into()))
    }

    pub(super) async fn commit(&self, step: Transaction<'static, Postgres>) -> Result<(), RepositoryError> {
        self.commits.finish(step, self.settings.statement_timeout).await
    }

    /// Where to write, once all is written that was asked for before.
    pub(super) async fn written(&self) -> &PgPool {
        self.commits.settled().await;
        &self.pool
    }
}
