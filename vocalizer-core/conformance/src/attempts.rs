//! Checks for every [`Attempts`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use time::OffsetDateTime;

use super::support::at_us;
use vocalizer_core::ports::{Attempts, ThrottleSettings};

const SETTINGS: ThrottleSettings = ThrottleSettings {
    free: 3,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
};

/// A separate counter of attempts for one test.
#[async_trait]
pub trait AttemptsPlace: Send + Sync {
    /// Opens the counter: empty the first time, and each time like another server of the installation, if there can be
    /// several.
    async fn attempts(&self) -> Arc<dyn Attempts>;
}

fn at_s(seconds: u64) -> OffsetDateTime {
    at_us(0) + Duration::from_secs(seconds)
}

/// Makes an attempt and returns its remaining delay.
async fn attempt(attempts: &Arc<dyn Attempts>, key: &str, now: OffsetDateTime) -> Option<Duration> {
    attempts.attempt(key, &SETTINGS, now).await.unwrap()
}

pub async fn delay_doubles_after_free_attempts(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    let mut now = at_s(0);
    for _ in 0..3 {
        assert_eq!(attempt(&attempts, "ada", now).await, None);
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
        assert_eq!(attempt(&attempts, "ada", now).await, None, "an attempt before the delay of {delay:?} was set");
        assert_eq!(attempt(&attempts, "ada", now).await, Some(delay));
        let remaining = Duration::from_millis(1);
        assert_eq!(attempt(&attempts, "ada", now + delay - remaining).await, Some(remaining));
        now += delay;
    }
}

/// The clocks of two servers may differ.
pub async fn free_attempts_ignore_clock_skew(place: &impl AttemptsPlace) {
    let (ahead, behind) = (place.attempts().await, place.attempts().await);
    assert_eq!(attempt(&ahead, "ada", at_s(3600)).await, None);
    assert_eq!(attempt(&behind, "ada", at_s(0)).await, None);
    assert_eq!(attempt(&ahead, "household", at_s(3600)).await, None);
    ahead.take_back("household", at_s(3600)).await.unwrap();
    assert_eq!(attempt(&behind, "household", at_s(0)).await, None);
}

pub async fn delayed_attempt_does_not_count(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..4 {
        assert_eq!(attempt(&attempts, "ada", at_s(0)).await, None);
    }
    for _ in 0..20 {
        assert_eq!(attempt(&attempts, "ada", at_s(0)).await, Some(Duration::from_secs(1)));
    }
    assert_eq!(attempt(&attempts, "ada", at_s(1)).await, None);
}

pub async fn success_and_time_reset_count(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..4 {
        assert_eq!(attempt(&attempts, "ada", at_s(0)).await, None);
    }
    attempts.succeed("ada").await.unwrap();
    for _ in 0..4 {
        assert_eq!(attempt(&attempts, "ada", at_s(0)).await, None);
    }
    assert!(attempt(&attempts, "ada", at_s(0)).await.is_some());
    attempts.forget(at_s(600)).await.unwrap();
    assert!(attempt(&attempts, "ada", at_s(0)).await.is_some(), "the count was reset too early");
    attempts.forget(at_s(602)).await.unwrap();
    for _ in 0..4 {
        assert_eq!(attempt(&attempts, "ada", at_s(602)).await, None, "the count is reset ten minutes after the delay");
    }
}

pub async fn clock_set_back_causes_no_long_delay(place: &impl AttemptsPlace) {
    const YEAR_S: u64 = 365 * 24 * 60 * 60;
    let attempts = place.attempts().await;
    assert_eq!(attempt(&attempts, "once", at_s(YEAR_S)).await, None);
    assert_eq!(attempt(&attempts, "once", at_s(0)).await, None, "no delay was set");
    for _ in 0..6 {
        let wait = attempt(&attempts, "often", at_s(YEAR_S)).await;
        assert!(wait.is_none_or(|wait| wait <= SETTINGS.longest));
    }
    assert_eq!(attempt(&attempts, "often", at_s(0)).await, None, "the delay was seconds, not a year");
    // Earlier attempts still count.
    let wait = attempt(&attempts, "often", at_s(0)).await.expect("the next attempt is delayed");
    assert!(wait <= SETTINGS.longest, "{wait:?}");
    // A clock slightly behind, like that of another server.
    assert_eq!(attempt(&attempts, "near", at_s(YEAR_S + 30)).await, None);
    assert_eq!(attempt(&attempts, "near", at_s(YEAR_S)).await, None);
}

pub async fn other_keys_are_not_delayed(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    while attempt(&attempts, "ada", at_s(0)).await.is_none() {}
    assert_eq!(attempt(&attempts, "bob", at_s(0)).await, None);
}

pub async fn attempts_taken_back_do_not_count(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..20 {
        assert_eq!(attempt(&attempts, "household", at_s(0)).await, None);
        attempts.take_back("household", at_s(0)).await.unwrap();
    }
    attempts.take_back("unknown", at_s(0)).await.unwrap();
}

pub async fn concurrent_attempts_do_not_bypass_limit(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    let tries = join_all((0..20).map(|_| attempt(&attempts, "ada", at_s(0)))).await;
    assert_eq!(tries.iter().filter(|wait| wait.is_none()).count(), 4);
}
