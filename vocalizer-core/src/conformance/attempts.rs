//! What every [`Attempts`] promises.

#![expect(missing_docs, reason = "each is named for the promise that it holds the count of attempts to")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use time::OffsetDateTime;

use super::support::at_us;
use crate::ports::{Attempts, ThrottleSettings};

const SETTINGS: ThrottleSettings = ThrottleSettings {
    free: 3,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
};

/// A count of attempts for one test.
#[async_trait]
pub trait AttemptsPlace: Send + Sync {
    /// Opens it: the first time empty, and each time as another server of the installation does, where there can be
    /// more than one.
    async fn attempts(&self) -> Arc<dyn Attempts>;
}

fn s(seconds: u64) -> OffsetDateTime {
    at_us(0) + Duration::from_secs(seconds)
}

/// An attempt, and how long it has to wait.
async fn tried(attempts: &Arc<dyn Attempts>, key: &str, now: OffsetDateTime) -> Option<Duration> {
    attempts.attempt(key, &SETTINGS, now).await.unwrap()
}

pub async fn some_attempts_are_free_and_then_each_doubles_the_delay(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    let mut now = s(0);
    for _ in 0..3 {
        assert_eq!(tried(&attempts, "ada", now).await, None);
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
        assert_eq!(tried(&attempts, "ada", now).await, None, "before the delay of {delay:?}");
        assert_eq!(tried(&attempts, "ada", now).await, Some(delay));
        let moment = Duration::from_millis(1);
        assert_eq!(tried(&attempts, "ada", now + delay - moment).await, Some(moment));
        now += delay;
    }
}

/// Of two servers one may be ahead.
pub async fn attempts_that_cost_nothing_wait_for_no_clock(place: &impl AttemptsPlace) {
    let (ahead, behind) = (place.attempts().await, place.attempts().await);
    assert_eq!(tried(&ahead, "ada", s(3600)).await, None);
    assert_eq!(tried(&behind, "ada", s(0)).await, None);
    assert_eq!(tried(&ahead, "house", s(3600)).await, None);
    ahead.take_back("house", s(3600)).await.unwrap();
    assert_eq!(tried(&behind, "house", s(0)).await, None);
}

pub async fn one_who_waits_does_not_count_as_trying(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..4 {
        assert_eq!(tried(&attempts, "ada", s(0)).await, None);
    }
    for _ in 0..20 {
        assert_eq!(tried(&attempts, "ada", s(0)).await, Some(Duration::from_secs(1)));
    }
    assert_eq!(tried(&attempts, "ada", s(1)).await, None);
}

pub async fn the_right_password_and_time_both_forget(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..4 {
        assert_eq!(tried(&attempts, "ada", s(0)).await, None);
    }
    attempts.succeed("ada").await.unwrap();
    for _ in 0..4 {
        assert_eq!(tried(&attempts, "ada", s(0)).await, None);
    }
    assert!(tried(&attempts, "ada", s(0)).await.is_some());
    attempts.forget(s(600)).await.unwrap();
    assert!(tried(&attempts, "ada", s(0)).await.is_some(), "forgotten too early");
    attempts.forget(s(602)).await.unwrap();
    for _ in 0..4 {
        assert_eq!(tried(&attempts, "ada", s(602)).await, None, "forgotten ten minutes after the delay");
    }
}

pub async fn a_clock_that_goes_back_keeps_nobody_waiting(place: &impl AttemptsPlace) {
    const YEAR_S: u64 = 365 * 24 * 60 * 60;
    let attempts = place.attempts().await;
    assert_eq!(tried(&attempts, "once", s(YEAR_S)).await, None);
    assert_eq!(tried(&attempts, "once", s(0)).await, None, "no delay was set");
    for _ in 0..6 {
        let wait = tried(&attempts, "often", s(YEAR_S)).await;
        assert!(wait.is_none_or(|wait| wait <= SETTINGS.longest));
    }
    assert_eq!(tried(&attempts, "often", s(0)).await, None, "the delay was seconds, and not a year");
    // What was tried before still counts.
    let wait = tried(&attempts, "often", s(0)).await.expect("it has to wait now");
    assert!(wait <= SETTINGS.longest, "{wait:?}");
    // A clock that is a little behind, as another server's may be.
    assert_eq!(tried(&attempts, "near", s(YEAR_S + 30)).await, None);
    assert_eq!(tried(&attempts, "near", s(YEAR_S)).await, None);
}

pub async fn others_are_not_slowed_down(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    while tried(&attempts, "ada", s(0)).await.is_none() {}
    assert_eq!(tried(&attempts, "bob", s(0)).await, None);
}

pub async fn what_was_taken_back_does_not_count(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    for _ in 0..20 {
        assert_eq!(tried(&attempts, "house", s(0)).await, None);
        attempts.take_back("house", s(0)).await.unwrap();
    }
    attempts.take_back("nobody", s(0)).await.unwrap();
}

pub async fn of_many_at_once_no_more_slip_through(place: &impl AttemptsPlace) {
    let attempts = place.attempts().await;
    let tries = join_all((0..20).map(|_| tried(&attempts, "ada", s(0)))).await;
    assert_eq!(tries.iter().filter(|wait| wait.is_none()).count(), 4);
}
