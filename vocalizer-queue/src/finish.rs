//! Operations that run to completion.

use std::future::Future;

use thiserror::Error;
use tokio::task::{JoinError, spawn};
use tracing::Instrument as _;
use vocalizer_core::ports::QueueError;

/// An operation did not complete.
#[derive(Debug, Error)]
#[error("the program is shutting down")]
pub(crate) struct Interrupted(#[source] JoinError);

impl From<Interrupted> for QueueError {
    fn from(error: Interrupted) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Runs a future to completion even if the caller is dropped; its result is dropped then. Half a message, or a copy
/// whose original is not acknowledged, would be worse.
pub(crate) async fn run_to_completion<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Interrupted> + Send + 'static,
{
    spawn(work.in_current_span()).await.unwrap_or_else(|error| Err(Interrupted(error).into()))
}
