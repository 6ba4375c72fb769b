//! Connections, and which of them may be used again.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres};
use tokio::time::timeout;
use vocalizer_core::ports::QueueError;

use super::open::PostgresQueueSettings;

/// The connections of one queue.
pub(super) struct Connections {
    pool: PgPool,
    /// The longest that anything may take.
    longest: Duration,
}

impl Connections {
    /// Connects when a connection is needed.
    pub(super) fn new(options: PgConnectOptions, settings: &PostgresQueueSettings) -> Self {
        let patience = settings.acquire_timeout;
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(patience)
            // What was idle while the database was restarted is found out before it is used,
            .test_before_acquire(true)
            // and what does not answer any more after it was used does not count as in use for ever.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    let answered = timeout(patience, connection.ping()).await;
                    answered.unwrap_or_else(|_| Err(timed_out())).map(|()| true)
                })
            })
            .connect_lazy_with(options);
        Self { pool, longest: settings.acquire_timeout + settings.statement_timeout }
    }

    /// Does something with a connection, and ends it where it takes too long.
    pub(super) async fn with<T, F>(&self, work: impl FnOnce(Borrowed) -> F) -> Result<T, QueueError>
    where
        F: Future<Output = (Borrowed, Result<T, sqlx::Error>)>,
    {
        let done = timeout(self.longest, async {
            let connection = self.pool.acquire().await?;
            let (mut borrowed, result) = work(Borrowed { connection, is_answered: false }).await;
            borrowed.is_answered = result.is_ok();
            result
        });
        done.await.unwrap_or_else(|_| Err(timed_out())).map_err(unavailable)
    }
}

/// A connection that is in use. Dropped before its statement was answered with success it is in an unknown state, and is
/// closed: somebody else's statement must not meet a transaction or an answer that is not its own.
pub(super) struct Borrowed {
    connection: PoolConnection<Postgres>,
    is_answered: bool,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.is_answered {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Borrowed {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

fn unavailable(error: sqlx::Error) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// Nobody answered in time.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
