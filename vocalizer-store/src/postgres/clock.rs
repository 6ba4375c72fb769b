//! A clock shared by all servers of a database.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::query_scalar;
use time::OffsetDateTime;
use tokio::time::timeout;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Clock, RepositoryError};
use vocalizer_sql::postgres::timed_out;

use super::error::repository;
use super::open::PostgresStore;
use crate::sql::rows::moment;

/// How often to read the database's time.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);

/// A [`Clock`] with the database's time, independent of this machine's time. Between readings, and while the database
/// is unavailable, it advances by [`Clock::elapsed`] of another clock, which is monotonic.
pub struct PostgresClock {
    inner: Arc<dyn Clock>,
    /// The database's time, and the inner clock's elapsed time at that moment.
    synced: Mutex<(OffsetDateTime, Duration)>,
}

impl PostgresStore {
    /// Returns the database's clock; `inner` measures elapsed time.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn clock(&self, inner: Arc<dyn Clock>) -> Result<Arc<PostgresClock>, RepositoryError> {
        let synced = Mutex::new(self.read_clock(inner.as_ref()).await?);
        let clock = Arc::new(PostgresClock { inner, synced });
        tokio::spawn(keep_synced(self.clone(), Arc::downgrade(&clock)));
        Ok(clock)
    }

    async fn read_clock(&self, inner: &dyn Clock) -> Result<(OffsetDateTime, Duration), RepositoryError> {
        const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
        let began = inner.elapsed();
        let reserved = self.reserved();
        let read = timeout(self.settings.acquire_timeout, query_scalar(SQL).fetch_one(&reserved.pool)).await;
        let now_us: i64 = read.unwrap_or_else(|_| Err(timed_out())).map_err(repository)?;
        // The time was read between request and response; assume the middle.
        let at = began + inner.elapsed().saturating_sub(began) / 2;
        Ok((moment(now_us).map_err(RepositoryError::Corrupt)?, at))
    }
}

/// Reads the database's time periodically while the clock is in use.
async fn keep_synced(store: PostgresStore, clock: Weak<PostgresClock>) {
    loop {
        tokio::time::sleep(SYNC_INTERVAL).await;
        let Some(clock) = clock.upgrade() else { return };
        match store.read_clock(clock.inner.as_ref()).await {
            Ok(synced) => *clock.synced.lock().unwrap_or_else(PoisonError::into_inner) = synced,
            Err(error) => tracing::debug!(error = chain(&error), "reading the database clock failed; retrying"),
        }
    }
}

#[async_trait]
impl Clock for PostgresClock {
    fn now(&self) -> OffsetDateTime {
        let (read, at) = *self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        read + self.inner.elapsed().saturating_sub(at)
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }
}
