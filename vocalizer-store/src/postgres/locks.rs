//! Locks that outlast transactions: rows that expire unless their holder renews them.
//!
//! Each acquisition has a term, a unique number. Taking an expired lock assigns a new term, so that a transaction can
//! check whether its server still holds the lock ([`Locks::term`]). A caller that is cancelled at any moment leaves no
//! lock behind: the lock is part of the returned value and is released with it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{PgPool, query, query_scalar};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use vocalizer_core::api::backoff::Backoff;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Held, RepositoryError};
use vocalizer_sql::postgres::timed_out;

use super::error::repository;

/// How long a lock lasts after it is taken or renewed.
const LOCK_DURATION: Duration = Duration::from_secs(15);

/// How often its holder renews it.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);

/// How long to wait for a lock: longer than the lock of a dead server lasts.
pub(super) const WAIT: Duration = Duration::from_secs(20);

/// The pauses between attempts: other servers do not announce a release.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));

/// Takes locks. The caller must ensure that no other caller of this server holds or requests the same one.
#[derive(Clone)]
pub(super) struct Locks {
    pool: PgPool,
    /// Timeout of each statement.
    patience: Duration,
    runtime: Handle,
    terms: Arc<Mutex<HashMap<String, i64>>>,
}

/// A held lock. Dropping it releases it.
struct Lock {
    locks: Locks,
    name: String,
    term: i64,
    renewing: AbortHandle,
    /// The local lock; released after the lock in the database.
    local: Option<Held>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewing.abort();
        let (locks, name, term, local) = (self.locks.clone(), self.name.clone(), self.term, self.local.take());
        self.locks.runtime.spawn(async move {
            locks.terms().remove(&name);
            if let Err(error) = locks.release(&name, term).await {
                tracing::warn!(name, error = chain(&error), "releasing a lock failed; it expires by itself");
            }
            drop(local);
        });
    }
}

impl Locks {
    /// Must be called within a tokio runtime.
    pub(super) fn new(pool: PgPool, patience: Duration) -> Self {
        Self { pool, patience, runtime: Handle::current(), terms: Arc::default() }
    }

    async fn with_timeout<T>(
        &self,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, RepositoryError> {
        timeout(self.patience, statement).await.unwrap_or_else(|_| Err(timed_out())).map_err(repository)
    }

    fn terms(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the term of a lock that this server took and has not released. The lock may have expired.
    pub(super) fn term(&self, name: &str) -> Option<i64> {
        self.terms().get(name).copied()
    }

    /// Takes a lock; `local` is the local lock of the same name. Returns `None` if another server holds it, at once or
    /// after waiting.
    pub(super) async fn take(&self, name: String, local: Held, wait: bool) -> Result<Option<Held>, RepositoryError> {
        let (locks, (sender, receiver)) = (self.clone(), oneshot::channel());
        // In a separate task: a call cancelled while the database takes the lock would leave it behind.
        self.runtime.spawn(async move {
            let (began, mut missed) = (Instant::now(), 0);
            let taken = loop {
                match locks.try_take(&name).await {
                    Ok(Some(term)) => break Ok(Some(term)),
                    Ok(None) if wait && began.elapsed() < WAIT && !sender.is_closed() => {
                        missed += 1;
                        sleep(BACKOFF.pause(missed)).await;
                    }
                    ended => break ended,
                }
            };
            let taken = taken.map(|term| term.map(|term| Box::new(locks.held(name, term, local)) as Held));
            // If the receiver is gone, the lock comes back and is released.
            let _ = sender.send(taken);
        });
        receiver.await.unwrap_or_else(|error| Err(RepositoryError::Unavailable(error.into())))
    }

    fn held(&self, name: String, term: i64, local: Held) -> Lock {
        self.terms().insert(name.clone(), term);
        let (locks, renewed) = (self.clone(), name.clone());
        let renewing = self.runtime.spawn(async move {
            loop {
                sleep(RENEW_INTERVAL).await;
                match locks.renew(&renewed, term).await {
                    Ok(true) => {}
                    Ok(false) => {
                        return tracing::warn!(name = renewed, "lock lost; writes that need it will be rejected");
                    }
                    Err(error) => {
                        tracing::warn!(name = renewed, error = chain(&error), "lock renewal failed; retrying");
                    }
                }
            }
        });
        Lock { locks: self.clone(), name, term, renewing: renewing.abort_handle(), local: Some(local) }
    }

    async fn try_take(&self, name: &str) -> Result<Option<i64>, RepositoryError> {
        const SQL: &str = "\
            INSERT INTO locks (name, term, expires_at) VALUES ($1, nextval('lock_terms'), clock_timestamp() + $2) \
            ON CONFLICT (name) DO UPDATE SET term = excluded.term, expires_at = excluded.expires_at \
            WHERE locks.expires_at <= clock_timestamp() RETURNING term";
        self.with_timeout(query_scalar(SQL).bind(name).bind(LOCK_DURATION).fetch_optional(&self.pool)).await
    }

    /// Renews a lock for the full duration. Returns whether it is still held.
    pub(super) async fn renew(&self, name: &str, term: i64) -> Result<bool, RepositoryError> {
        const SQL: &str = "UPDATE locks SET expires_at = clock_timestamp() + $3 WHERE name = $1 AND term = $2";
        let renewed =
            self.with_timeout(query(SQL).bind(name).bind(term).bind(LOCK_DURATION).execute(&self.pool)).await?;
        Ok(renewed.rows_affected() > 0)
    }

    async fn release(&self, name: &str, term: i64) -> Result<(), RepositoryError> {
        const SQL: &str = "DELETE FROM locks WHERE name = $1 AND term = $2";
        self.with_timeout(query(SQL).bind(name).bind(term).execute(&self.pool)).await.map(|_| ())
    }
}
