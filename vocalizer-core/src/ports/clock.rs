//! What time it is.

use time::OffsetDateTime;

/// Tells the time, so that tests can tell it what to say.
pub trait Clock: Send + Sync {
    /// Now, in UTC. It may jump, as the system's clock does; measure durations by other means.
    fn now(&self) -> OffsetDateTime;
}
