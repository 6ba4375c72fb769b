//! A connection pool that reuses only healthy connections.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres};
use tokio::time::timeout;
use vocalizer_core::ports::QueueError;

use super::settings::PostgresQueueSettings;

/// The connections of one queue.
pub(super) struct Connections {
    pool: PgPool,
    /// Timeout of each operation.
    longest: Duration,
}

impl Connections {
    /// Creates a pool that connects on demand.
    pub(super) fn new(options: PgConnectOptions, settings: &PostgresQueueSettings) -> Self {
        let patience = settings.acquire_timeout;
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(patience)
            // Detects connections that broke while idle, for example in a restart of the database,
            .test_before_acquire(true)
            // and connections that stopped responding; they do not count as in use.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    let pinged = timeout(patience, connection.ping()).await;
                    pinged.unwrap_or_else(|_| Err(timed_out())).map(|()| true)
                })
            })
            .connect_lazy_with(options);
        Self { pool, longest: settings.acquire_timeout + settings.statement_timeout }
    }

    /// Runs an operation on a connection, and closes the connection on a timeout.
    pub(super) async fn with<T, F>(&self, work: impl FnOnce(Borrowed) -> F) -> Result<T, QueueError>
    where
        F: Future<Output = (Borrowed, Result<T, sqlx::Error>)>,
    {
        let done = timeout(self.longest, async {
            let connection = self.pool.acquire().await?;
            let (mut borrowed, result) = work(Borrowed { connection, is_clean: false }).await;
            borrowed.is_clean = result.is_ok();
            result
        });
        done.await.unwrap_or_else(|_| Err(timed_out())).map_err(unavailable)
    }
}

/// A connection in use. If dropped before its statement succeeded, its state is unknown and it is closed: the next
/// statement must not see a stale transaction or response.
pub(super) struct Borrowed {
    connection: PoolConnection<Postgres>,
    is_clean: bool,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.is_clean {
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

/// Returns a timeout error.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
