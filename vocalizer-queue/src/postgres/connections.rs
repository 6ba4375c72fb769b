//! A connection pool that reuses only healthy connections.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::time::timeout;
use vocalizer_core::ports::QueueError;
use vocalizer_sql::postgres::{Database, timed_out};

use super::settings::PostgresQueueSettings;

/// The connections of one queue.
pub(super) struct Connections {
    pool: PgPool,
    /// Timeout of each operation.
    longest: Duration,
}

impl Connections {
    /// Connects on demand.
    pub(super) fn new(database: &Database, settings: &PostgresQueueSettings) -> Self {
        let longest = settings.acquire_timeout + settings.statement_timeout;
        Self { pool: database.pool(settings.max_connections), longest }
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
