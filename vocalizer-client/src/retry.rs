//! Retries with exponential backoff and jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::Error;
use crate::client::OnRetry;

/// Maximum pause between two attempts, without `Retry-After`.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Maximum `Retry-After`. For longer ones the error is returned to the caller.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The remaining retries of a call.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    on_retry: Option<OnRetry>,
    most: u32,
    first: Duration,
    left: u32,
    pause: Duration,
}

impl Retry {
    pub(crate) fn new(most: u32, first: Duration, on_retry: Option<OnRetry>) -> Self {
        Self { on_retry, most, first, left: most, pause: first }
    }

    /// Returns the pause before the next attempt, or `None` if the error is final.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        let retry_after = error.retry_after().unwrap_or_default();
        if !error.is_transient() || retry_after > MAX_RETRY_AFTER {
            return None;
        }
        let pause = self.next_pause(retry_after)?;
        if let Some(OnRetry(on_retry)) = &self.on_retry {
            on_retry(error, pause);
        }
        Some(pause)
    }

    /// Returns the pause before the next attempt after any error, at least `retry_after`; `None` if no attempts are
    /// left.
    pub(crate) fn next_pause(&mut self, retry_after: Duration) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = retry_after.saturating_add(jittered(self.pause));
        self.pause = self.pause.saturating_mul(2).min(MAX_PAUSE);
        Some(pause)
    }

    /// Resets the counter after progress.
    pub(crate) fn reset(&mut self) {
        (self.left, self.pause) = (self.most, self.first);
    }
}

/// Returns a random pause between half of `pause` and `pause`, so that clients of a restarted server spread out.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // The hasher's random keys are good enough for jitter.
    let drawn = RandomState::new().hash_one(()) % 1024;
    let half = pause / 2;
    half + half.mul_f64(drawn as f64 / 1024.0)
}
