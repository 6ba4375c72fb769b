//! Notifications of jobs that other servers publish.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::sleep;
use vocalizer_core::causes::chain;

/// The notification channel; see the statements in `jobs`.
const CHANNEL: &str = "vocalizer_queue";

/// The pause before reconnecting after a failure.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Wakes waiting callers when a job is announced; never returns. Without a connection, callers poll.
pub(super) async fn listen(options: PgConnectOptions, patience: Duration, changed: Arc<Notify>) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(patience)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options);
    loop {
        let listened = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                // On the first connection and after each reconnect: notifications may have been missed.
                changed.notify_waiters();
                listener.try_recv().await?;
            }
        };
        let ended: Result<(), sqlx::Error> = listened.await;
        if let Err(error) = ended {
            tracing::debug!(error = chain(&error), "listen connection failed; polling the queue until it is back");
        }
        sleep(RECONNECT_PAUSE).await;
    }
}
