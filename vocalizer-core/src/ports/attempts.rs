//! Who may be guessing.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;

/// How hard guessing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Attempts that cost nothing.
    pub free: u32,
    /// The delay after the first attempt that does; it doubles with each.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// After so long without an attempt everything is forgotten.
    pub forget_after: Duration,
}

impl ThrottleSettings {
    /// For one account: 5 free, then 1 s, doubling to 15 minutes, forgotten after an hour.
    #[must_use]
    pub const fn per_account() -> Self {
        Self {
            free: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(60 * 60),
        }
    }

    /// For one account and all addresses together: 100 free, then as for an account.
    #[must_use]
    pub const fn per_account_everywhere() -> Self {
        Self { free: 100, ..Self::per_account() }
    }

    /// The delay after so many attempts.
    fn delay(&self, count: u32) -> Duration {
        let delay = match count.checked_sub(self.free) {
            None | Some(0) => Duration::ZERO,
            Some(over) => self.first.saturating_mul(1_u32.checked_shl(over - 1).unwrap_or(u32::MAX)),
        };
        delay.min(self.longest)
    }

    /// For one address, behind which a whole house may live: 30 free, then as for an account.
    #[must_use]
    pub const fn per_address() -> Self {
        Self { free: 30, ..Self::per_account() }
    }
}

/// What is remembered of the attempts under one key. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many there were.
    pub count: u32,
    /// No attempt before this; zero while attempts cost nothing, so that no clock makes anybody wait then.
    pub next_us: i64,
    /// When everything is forgotten.
    pub forgotten_us: i64,
}

impl Tries {
    /// What is to be remembered after one more attempt at `now_us`, given what was remembered before it.
    ///
    /// # Errors
    ///
    /// How long to wait where it may not be made yet; it then does not count.
    pub fn after(before: Option<Self>, settings: &ThrottleSettings, now_us: i64) -> Result<Self, Duration> {
        let before = before.filter(|tries| tries.forgotten_us > now_us);
        let Self { count, next_us, .. } = before.unwrap_or(Self { count: 0, next_us: 0, forgotten_us: now_us });
        // Longer than the delay that was set: the clock has gone back since, or is behind that of another server.
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

    /// The same without one attempt that was right.
    #[must_use]
    pub fn taken_back(self, now_us: i64) -> Self {
        Self { count: self.count.saturating_sub(1), next_us: self.next_us.min(now_us), ..self }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Counts attempts per key, for all servers that share it. An attempt counts as failed from its beginning, so that a
/// thousand at once do not all slip through before the first has failed; one that was right is taken back.
///
/// Each method is one atomic step, and may end in [`RepositoryError::Unavailable`].
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts an attempt by the rule of [`Tries::after`], or says how long to wait before it may be made.
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

    /// Forgets a key whose attempt was right.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn succeed(&self, key: &str) -> Result<(), RepositoryError>;

    /// Takes back one attempt that was right, and keeps the others: for keys that many share.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn take_back(&self, key: &str, now: OffsetDateTime) -> Result<(), RepositoryError>;

    /// Forgets what is to be forgotten by now.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget(&self, now: OffsetDateTime) -> Result<(), RepositoryError>;
}
