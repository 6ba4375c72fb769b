//! A manual clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use event_listener::Event;
use time::OffsetDateTime;

use crate::ports::Clock;

/// A [`Clock`] that advances only on request.
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed: Mutex<Duration>,
    advanced: Event,
}

impl ManualClock {
    /// Creates a clock at the start of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += by;
        self.advanced.notify(usize::MAX);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.elapsed().saturating_add(duration);
        loop {
            let advanced = self.advanced.listen();
            if self.elapsed() >= until {
                return;
            }
            advanced.await;
        }
    }
}
