//! The time that all servers of one database agree on.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::query_scalar;
use time::OffsetDateTime;
use tokio::time::timeout;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Clock, RepositoryError};

use super::error::repository;
use super::open::{PostgresStore, timed_out};
use crate::sql::rows::moment;

/// How often the database is asked for the time.
const EVERY: Duration = Duration::from_secs(30);

/// A [`Clock`] that shows the database's time, however wrong that of this machine is. Between two looks at the database
/// it goes by [`Clock::elapsed`] of another clock, which never steps, and so it does while the database is away.
pub struct PostgresClock {
    inner: Arc<dyn Clock>,
    /// What the database said, and what the inner clock showed then.
    looked: Mutex<(OffsetDateTime, Duration)>,
}

impl PostgresStore {
    /// The database's clock, over one of this machine that measures what passes.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn clock(&self, inner: Arc<dyn Clock>) -> Result<Arc<PostgresClock>, RepositoryError> {
        let looked = Mutex::new(self.look(inner.as_ref()).await?);
        let clock = Arc::new(PostgresClock { inner, looked });
        tokio::spawn(keep(self.clone(), Arc::downgrade(&clock)));
        Ok(clock)
    }

    async fn look(&self, inner: &dyn Clock) -> Result<(OffsetDateTime, Duration), RepositoryError> {
        const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
        let began = inner.elapsed();
        let aside = self.aside();
        let asked = timeout(self.settings.acquire_timeout, query_scalar(SQL).fetch_one(&aside.pool)).await;
        let now_us: i64 = asked.unwrap_or_else(|_| Err(timed_out())).map_err(repository)?;
        // It was read somewhere between the question and the answer.
        let at = began + inner.elapsed().saturating_sub(began) / 2;
        Ok((moment(now_us).map_err(RepositoryError::Corrupt)?, at))
    }
}

/// Looks at the database now and then, for as long as somebody has the clock.
async fn keep(store: PostgresStore, clock: Weak<PostgresClock>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(clock) = clock.upgrade() else { return };
        match store.look(clock.inner.as_ref()).await {
            Ok(looked) => *clock.looked.lock().unwrap_or_else(PoisonError::into_inner) = looked,
            Err(error) => tracing::debug!(error = chain(&error), "the database does not tell the time"),
        }
    }
}

#[async_trait]
impl Clock for PostgresClock {
    fn now(&self) -> OffsetDateTime {
        let (said, at) = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        said + self.inner.elapsed().saturating_sub(at)
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }
}
