//! What is finished once it is begun.

use std::future::Future;

use tokio::task::spawn;
use vocalizer_core::ports::QueueError;

/// Does something to its end, whether or not somebody waits for it. What it returns is dropped where nobody does.
pub(crate) async fn finished<T: Send + 'static>(
    work: impl Future<Output = Result<T, QueueError>> + Send + 'static,
) -> Result<T, QueueError> {
    spawn(work).await.unwrap_or_else(|error| Err(QueueError::Unavailable(error.into())))
}
