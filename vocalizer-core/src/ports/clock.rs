//! The clock.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use time::OffsetDateTime;

/// Tells the time and sleeps, so that tests can control both.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// # use vocalizer_core::{memory::ManualClock, ports::Clock as _};
/// let clock = ManualClock::new();
/// // A test need not wait for a minute.
/// let minute = Duration::from_secs(60);
/// tokio::join!(clock.sleep(minute), async { clock.advance(minute) });
/// assert_eq!(clock.elapsed(), minute);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Clock: Send + Sync {
    /// Returns the current time in UTC. It may jump, as the system clock does; measure durations with
    /// [`Self::elapsed`].
    fn now(&self) -> OffsetDateTime;

    /// Returns the monotonic time since some fixed moment.
    fn elapsed(&self) -> Duration;

    /// Sleeps. Cancel-safe.
    async fn sleep(&self, duration: Duration);
}

impl dyn Clock {
    /// Runs a future with a timeout; `None` if it times out.
    pub(crate) async fn within<T>(&self, longest: Duration, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(work), self.sleep(longest)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}
