//! Retries with exponential backoff and jitter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use vocalizer_api::backoff::Backoff;
use vocalizer_api::causes::chain;

use crate::Error;

/// Maximum pause between two attempts, without `Retry-After`.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Maximum `Retry-After`. For longer ones the error is returned to the caller.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A function of an error and the pause after it.
type OnError = dyn Fn(&Error, Duration) + Send + Sync;

/// Called before each retry.
#[derive(Clone)]
pub(crate) struct OnRetry(pub(crate) Arc<OnError>);

impl fmt::Debug for OnRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRetry")
    }
}

/// The remaining retries of a call.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    on_retry: Option<OnRetry>,
    most: u32,
    backoff: Backoff,
    failures: u32,
}

impl Retry {
    pub(crate) fn new(most: u32, first: Duration, on_retry: Option<OnRetry>) -> Self {
        Self { on_retry, most, backoff: Backoff::new(first, MAX_PAUSE), failures: 0 }
    }

    /// Returns the pause before the next attempt, or `None` if the error is final.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        let retry_after = error.retry_after().unwrap_or_default();
        if !error.is_transient() || retry_after > MAX_RETRY_AFTER {
            return None;
        }
        let pause = self.next_pause(retry_after)?;
        tracing::debug!(error = chain(error), ?pause, "request failed; retrying");
        if let Some(OnRetry(on_retry)) = &self.on_retry {
            on_retry(error, pause);
        }
        Some(pause)
    }

    /// Returns the pause before the next attempt after any error, at least `retry_after`; `None` if no attempts are
    /// left.
    pub(crate) fn next_pause(&mut self, retry_after: Duration) -> Option<Duration> {
        if self.failures >= self.most {
            return None;
        }
        self.failures += 1;
        Some(retry_after.saturating_add(self.backoff.pause(self.failures)))
    }

    /// Resets the counter after progress.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
