//! Operations that run to completion.

use std::future::Future;

use tokio::task::spawn;
use tracing::Instrument as _;

use super::error::AmqpError;

/// Runs a future to completion even if the caller is dropped: half a message, or a copy whose original is not
/// acknowledged, would be worse.
pub(super) async fn run_to_completion<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<AmqpError> + Send + 'static,
{
    spawn(work.in_current_span()).await.unwrap_or_else(|_| Err(AmqpError::lost("the program is shutting down").into()))
}
