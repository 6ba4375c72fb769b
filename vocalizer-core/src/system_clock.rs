//! The system clock.

use std::time::{Duration, Instant};

use crate::ports::Clock;
use async_trait::async_trait;
use time::OffsetDateTime;

/// The system clock and tokio's timer. Its sleeps need a tokio runtime with the time driver.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    since: Instant,
}

impl SystemClock {
    /// Creates a clock whose elapsed time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { since: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
