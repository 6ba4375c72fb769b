//! Operations that run to completion.

use std::future::Future;

use tokio::task::spawn;
use vocalizer_core::ports::QueueError;

/// Runs a future to completion even if the caller is dropped; its result is dropped then.
pub(crate) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, QueueError>> + Send + 'static,
) -> Result<T, QueueError> {
    spawn(work).await.unwrap_or_else(|error| Err(QueueError::Unavailable(error.into())))
}
