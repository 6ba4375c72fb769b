//! Hearing of jobs that other servers publish.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::sleep;
use vocalizer_core::causes::chain;

/// Where jobs are announced; see the statements in `jobs`.
const CHANNEL: &str = "vocalizer_queue";

/// How long to wait before a new connection after one that did not work.
const PAUSE: Duration = Duration::from_secs(2);

/// Wakes those who wait for a job when one is announced, for as long as it is polled. While there is no connection they
/// look by themselves now and then.
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
                // At first, and after a connection that was lost: something may have been announced before.
                changed.notify_waiters();
                listener.try_recv().await?;
            }
        };
        let ended: Result<(), sqlx::Error> = listened.await;
        if let Err(error) = ended {
            tracing::debug!(error = chain(&error), "the queue is not listened to; it is polled meanwhile");
        }
        sleep(PAUSE).await;
    }
}
