//! What is finished once it is begun.

use std::future::Future;

use tokio::task::spawn;
use tracing::Instrument as _;

use super::error::AmqpError;

/// Runs something to its end also when nobody waits for it any more: half a message, or a copy without the end of its
/// original, would be worse than either.
pub(super) async fn finished<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<AmqpError> + Send + 'static,
{
    spawn(work.in_current_span()).await.unwrap_or_else(|_| Err(AmqpError::lost("the program ends").into()))
}
