//! What time it is, and waiting.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

/// Tells the time and lets it pass, so that tests can do both as they like.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC. It may jump, as the system's clock does; measure durations with [`Self::elapsed`].
    fn now(&self) -> OffsetDateTime;

    /// How much time has passed since some fixed moment; never less than before.
    fn elapsed(&self) -> Duration;

    /// Waits. Cancel-safe.
    async fn sleep(&self, duration: Duration);
}
