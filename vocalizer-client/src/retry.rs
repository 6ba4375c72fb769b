//! When to try again, and when no longer.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::Error;

/// Longest pause of our own choice between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Longest pause that a server's `Retry-After` can ask for. A caller who is to wait longer is better told.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// What is left of a call's further tries.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    most: u32,
    first: Duration,
    left: u32,
    pause: Duration,
}

impl Retry {
    pub(crate) const fn new(most: u32, first: Duration) -> Self {
        Self { most, first, left: most, pause: first }
    }

    /// How long to pause after this error before the next try, or `None` where there is to be none.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        let asked = error.retry_after().unwrap_or_default();
        if !error.is_transient() || asked > LONGEST_ASKED {
            return None;
        }
        self.again(asked)
    }

    /// How long to pause before the next try of what may be repeated whatever came of it, and at least for as long as the
    /// server asked.
    pub(crate) fn again(&mut self, asked: Duration) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = asked.saturating_add(jittered(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        Some(pause)
    }

    /// Forgets the tries so far, since something came of them.
    pub(crate) fn reset(&mut self) {
        (self.left, self.pause) = (self.most, self.first);
    }
}

/// Between half of the pause and all of it, so that the clients of a server that restarts do not come back as one.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // The hasher's keys are the standard library's randomness, and good enough to spread clients.
    let drawn = RandomState::new().hash_one(()) % 1024;
    let half = pause / 2;
    half + half.mul_f64(drawn as f64 / 1024.0)
}
