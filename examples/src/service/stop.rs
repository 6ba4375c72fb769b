//! Shutdown.

use std::io;

use tokio_util::sync::CancellationToken;
use vocalizer_store::system::stop_signal;

/// Returns a token that is cancelled when the program is asked to stop.
pub(super) fn stop_token() -> io::Result<CancellationToken> {
    let (stop, asked) = (CancellationToken::new(), stop_signal()?);
    let token = stop.clone();
    tokio::spawn(async move {
        asked.await;
        token.cancel();
    });
    Ok(stop)
}
