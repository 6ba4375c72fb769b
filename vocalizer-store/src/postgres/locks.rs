//! Locks that last longer than a transaction: rows that expire unless their holder renews them.
//!
//! A holder has a term, a number that is never used twice. Whoever takes a lock that has expired gives it another term, so
//! that a transaction can tell whether its server still has the lock ([`Locks::term`]). Whoever goes away meanwhile, at
//! whatever moment, leaves no lock behind: it is in what he is answered with, and goes when that goes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{PgPool, query, query_scalar};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Held, RepositoryError};

use super::error::repository;
use super::open::timed_out;

/// How long a lock lasts from when it was taken or renewed.
const LASTS: Duration = Duration::from_secs(15);

/// How often its holder renews it.
const BEAT: Duration = Duration::from_secs(5);

/// How long a lock is waited for: longer than that of a server that has died lasts.
pub(super) const WAIT: Duration = Duration::from_secs(20);

/// How long to wait before it is tried again, at first and at the longest: those on other servers tell nobody when they
/// are done.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Where to ask for locks. Whoever asks sees to it that nobody else of this server has what is asked for.
#[derive(Clone)]
pub(super) struct Locks {
    pool: PgPool,
    /// How long the database may take to answer.
    patience: Duration,
    runtime: Handle,
    terms: Arc<Mutex<HashMap<String, i64>>>,
}

/// A lock, until it is dropped.
struct Lock {
    locks: Locks,
    name: String,
    term: i64,
    renewing: AbortHandle,
    /// What keeps others of this server waiting; it goes when the lock is free.
    here: Option<Held>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewing.abort();
        let (locks, name, term, here) = (self.locks.clone(), self.name.clone(), self.term, self.here.take());
        self.locks.runtime.spawn(async move {
            locks.terms().remove(&name);
            if let Err(error) = locks.free(&name, term).await {
                tracing::warn!(name, error = chain(&error), "a lock could not be freed; it expires");
            }
            drop(here);
        });
    }
}

impl Locks {
    /// Must be called within a runtime.
    pub(super) fn new(pool: PgPool, patience: Duration) -> Self {
        Self { pool, patience, runtime: Handle::current(), terms: Arc::default() }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, RepositoryError> {
        timeout(self.patience, asked).await.unwrap_or_else(|_| Err(timed_out())).map_err(repository)
    }

    fn terms(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The term of a lock that this server was given and has not let go. It may have lost it.
    pub(super) fn term(&self, name: &str) -> Option<i64> {
        self.terms().get(name).copied()
    }

    /// A lock, for whoever has it `here`. `None` where another server has it: at once, or when it was waited for.
    pub(super) async fn take(&self, name: String, here: Held, wait: bool) -> Result<Option<Held>, RepositoryError> {
        let (locks, (answer, answered)) = (self.clone(), oneshot::channel());
        // In a task of its own: a call that is dropped while the database takes the lock would leave it there.
        self.runtime.spawn(async move {
            let (began, mut pause) = (Instant::now(), PAUSES.0);
            let taken = loop {
                match locks.try_take(&name).await {
                    Ok(Some(term)) => break Ok(Some(term)),
                    Ok(None) if wait && began.elapsed() < WAIT && !answer.is_closed() => {
                        sleep(pause).await;
                        pause = (pause * 2).min(PAUSES.1);
                    }
                    missed => break missed,
                }
            };
            let taken = taken.map(|term| term.map(|term| Box::new(locks.held(name, term, here)) as Held));
            // Where nobody listens any more the lock comes back, and is freed.
            let _ = answer.send(taken);
        });
        answered.await.unwrap_or_else(|gone| Err(RepositoryError::Unavailable(gone.into())))
    }

    fn held(&self, name: String, term: i64, here: Held) -> Lock {
        self.terms().insert(name.clone(), term);
        let (locks, renewed) = (self.clone(), name.clone());
        let renewing = self.runtime.spawn(async move {
            loop {
                sleep(BEAT).await;
                match locks.renew(&renewed, term).await {
                    Ok(true) => {}
                    Ok(false) => {
                        return tracing::warn!(name = renewed, "a lock was lost; what it is for will be refused");
                    }
                    Err(error) => tracing::warn!(name = renewed, error = chain(&error), "a lock was not renewed"),
                }
            }
        });
        Lock { locks: self.clone(), name, term, renewing: renewing.abort_handle(), here: Some(here) }
    }

    async fn try_take(&self, name: &str) -> Result<Option<i64>, RepositoryError> {
        const SQL: &str = "\
            INSERT INTO locks (name, term, expires_at) VALUES ($1, nextval('lock_terms'), clock_timestamp() + $2) \
            ON CONFLICT (name) DO UPDATE SET term = excluded.term, expires_at = excluded.expires_at \
            WHERE locks.expires_at <= clock_timestamp() RETURNING term";
        self.in_time(query_scalar(SQL).bind(name).bind(LASTS).fetch_optional(&self.pool)).await
    }

    /// Whether the lock is held still; if so, it lasts as long as a new one.
    pub(super) async fn renew(&self, name: &str, term: i64) -> Result<bool, RepositoryError> {
        const SQL: &str = "UPDATE locks SET expires_at = clock_timestamp() + $3 WHERE name = $1 AND term = $2";
        let renewed = self.in_time(query(SQL).bind(name).bind(term).bind(LASTS).execute(&self.pool)).await?;
        Ok(renewed.rows_affected() > 0)
    }

    async fn free(&self, name: &str, term: i64) -> Result<(), RepositoryError> {
        const SQL: &str = "DELETE FROM locks WHERE name = $1 AND term = $2";
        self.in_time(query(SQL).bind(name).bind(term).execute(&self.pool)).await.map(|_| ())
    }
}
