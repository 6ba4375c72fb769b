//! Exponential backoff with jitter.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Pauses between attempts: each is twice as long as the one before, up to the longest. Half of it is random, so that
/// many clients do not retry all at once.
///
/// ```
/// use std::time::Duration;
///
/// use vocalizer_api::backoff::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// let third = backoff.pause(3);
/// assert!(third >= Duration::from_secs(2) && third <= Duration::from_secs(4));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Creates a backoff from its first and its longest pause.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns the pause after this many failures in a row.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        self.pause_with(failures, chance())
    }

    /// Returns the pause with the jitter that `chance` sets.
    #[must_use]
    pub fn pause_with(&self, failures: u32, chance: u16) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        jitter(self.first.saturating_mul(doubled).min(self.longest), chance)
    }
}

/// Returns a random pause between half of `pause` and `pause`.
#[must_use]
pub fn jittered(pause: Duration) -> Duration {
    jitter(pause, chance())
}

fn jitter(pause: Duration, chance: u16) -> Duration {
    pause / 2 + pause.mul_f64(f64::from(chance) / f64::from(u16::MAX) / 2.0)
}

/// Returns a random number, good enough for jitter.
#[must_use]
pub fn chance() -> u16 {
    // The hasher has random keys.
    let [a, b, ..] = RandomState::new().hash_one(()).to_le_bytes();
    u16::from_le_bytes([a, b])
}
