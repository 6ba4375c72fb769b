//! What time it is, and waiting.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
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

impl dyn Clock {
    /// Does something, unless it takes longer than this.
    pub(crate) async fn within<T>(&self, longest: Duration, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(work), self.sleep(longest)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}
