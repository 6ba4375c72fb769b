//! Throttling of login attempts.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;

/// Settings of the throttling of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// The number of attempts without a delay.
    pub free: u32,
    /// The delay after the first attempt beyond those; it doubles with each attempt.
    pub first: Duration,
    /// The maximum delay.
    pub longest: Duration,
    /// The count is reset after this long without an attempt.
    pub forget_after: Duration,
}

impl ThrottleSettings {
    /// For one account: 5 free attempts, then 1 s, doubling up to 15 minutes, reset after an hour.
    #[must_use]
    pub const fn per_account() -> Self {
        Self {
            free: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(60 * 60),
        }
    }

    /// For one account and all addresses together: 100 free attempts, then as for an account.
    #[must_use]
    pub const fn per_account_everywhere() -> Self {
        Self { free: 100, ..Self::per_account() }
    }

    /// Returns the delay after `count` attempts.
    fn delay(&self, count: u32) -> Duration {
        let delay = match count.checked_sub(self.free) {
            None | Some(0) => Duration::ZERO,
            Some(over) => self.first.saturating_mul(1_u32.checked_shl(over - 1).unwrap_or(u32::MAX)),
        };
        delay.min(self.longest)
    }

    /// For one address, which a whole household may share: 30 free attempts, then as for an account.
    #[must_use]
    pub const fn per_address() -> Self {
        Self { free: 30, ..Self::per_account() }
    }
}

/// The recorded attempts under one key. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// The number of attempts.
    pub count: u32,
    /// The earliest time of the next attempt; zero while attempts are free, so that a wrong clock causes no delay.
    pub next_us: i64,
    /// When the count is reset.
    pub forgotten_us: i64,
}

impl Tries {
    /// Returns the record after one more attempt at `now_us`, given the record before it.
    ///
    /// # Errors
    ///
    /// The remaining delay if the attempt is too early; it then does not count.
    pub fn after(before: Option<Self>, settings: &ThrottleSettings, now_us: i64) -> Result<Self, Duration> {
        let before = before.filter(|tries| tries.forgotten_us > now_us);
        let Self { count, next_us, .. } = before.unwrap_or(Self { count: 0, next_us: 0, forgotten_us: now_us });
        // Longer than the delay that was set: the clock was set back since, or is behind another server's.
        let stepped_back = next_us.saturating_sub(now_us) > micros(settings.delay(count));
        if next_us > now_us && !stepped_back {
            return Err(Duration::from_micros(next_us.abs_diff(now_us)));
        }
        let count = count.saturating_add(1);
        let delay = settings.delay(count);
        let delayed_us = now_us.saturating_add(micros(delay));
        let next_us = if delay.is_zero() { 0 } else { delayed_us };
        Ok(Self { count, next_us, forgotten_us: delayed_us.saturating_add(micros(settings.forget_after)) })
    }

    /// Returns the record without one attempt, which succeeded.
    #[must_use]
    pub fn taken_back(self, now_us: i64) -> Self {
        Self { count: self.count.saturating_sub(1), next_us: self.next_us.min(now_us), ..self }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Counts attempts per key, across all servers that share it. An attempt counts as failed from its start, so that a
/// thousand concurrent attempts cannot pass before the first one fails; one that succeeds is taken back.
///
/// Each method is one atomic step, and may return [`RepositoryError::Unavailable`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// use vocalizer_core::ports::{Attempts, ThrottleSettings};
/// use vocalizer_core::service::Throttle;
///
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
/// let (attempts, settings) = (Throttle::default(), ThrottleSettings { free: 1, ..ThrottleSettings::per_account() });
/// assert_eq!(attempts.attempt("login ada", &settings, now).await?, None);
/// assert_eq!(attempts.attempt("login ada", &settings, now).await?, None);
/// assert_eq!(attempts.attempt("login ada", &settings, now).await?, Some(Duration::from_secs(1)));
///
/// attempts.succeed("login ada").await?;
/// assert_eq!(attempts.attempt("login ada", &settings, now).await?, None);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts an attempt by the rule of [`Tries::after`], or returns the remaining delay.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn attempt(
        &self,
        key: &str,
        settings: &ThrottleSettings,
        now: OffsetDateTime,
    ) -> Result<Option<Duration>, RepositoryError>;

    /// Deletes the record of a key after a successful attempt.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn succeed(&self, key: &str) -> Result<(), RepositoryError>;

    /// Takes back one successful attempt and keeps the others, for keys that many users share.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn take_back(&self, key: &str, now: OffsetDateTime) -> Result<(), RepositoryError>;

    /// Deletes records whose reset time has passed.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget(&self, now: OffsetDateTime) -> Result<(), RepositoryError>;
}
