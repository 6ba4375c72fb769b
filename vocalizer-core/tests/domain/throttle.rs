//! Guessing gets slower and slower, for whoever guesses and for nobody else.

use std::time::Duration;

use proptest::prelude::*;
use vocalizer_core::service::{Throttle, ThrottleSettings};

const SETTINGS: ThrottleSettings = ThrottleSettings {
    free: 3,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
    max_keys: 100,
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn some_attempts_are_free_and_then_each_doubles_the_delay() {
    let throttle = Throttle::new(SETTINGS);
    let mut now = s(0);
    for _ in 0..3 {
        assert_eq!(throttle.attempt(&"ada", now), Ok(()));
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(throttle.attempt(&"ada", now), Ok(()), "before the delay of {delay} s");
        assert_eq!(throttle.attempt(&"ada", now), Err(s(delay)));
        assert_eq!(throttle.attempt(&"ada", now + s(delay) - Duration::from_millis(1)), Err(Duration::from_millis(1)));
        now += s(delay);
    }
}

#[test]
fn one_who_waits_does_not_count_as_trying() {
    let throttle = Throttle::new(SETTINGS);
    for _ in 0..4 {
        throttle.attempt(&"ada", s(0)).expect("not throttled yet");
    }
    for _ in 0..100 {
        assert_eq!(throttle.attempt(&"ada", s(0)), Err(s(1)));
    }
    assert_eq!(throttle.attempt(&"ada", s(1)), Ok(()));
}

#[test]
fn the_right_password_and_time_both_forget() {
    let throttle = Throttle::new(SETTINGS);
    for _ in 0..4 {
        throttle.attempt(&"ada", s(0)).expect("not throttled yet");
    }
    throttle.succeed(&"ada");
    for _ in 0..4 {
        assert_eq!(throttle.attempt(&"ada", s(0)), Ok(()));
    }
    assert_eq!(throttle.attempt(&"ada", s(0)), Err(s(1)));
    for _ in 0..4 {
        assert_eq!(throttle.attempt(&"ada", s(602)), Ok(()), "forgotten ten minutes after the delay");
    }
}

#[test]
fn others_are_not_slowed_down() {
    let throttle = Throttle::new(SETTINGS);
    while throttle.attempt(&"ada", s(0)).is_ok() {}
    assert_eq!(throttle.attempt(&"bob", s(0)), Ok(()));
}

#[test]
fn what_was_taken_back_does_not_count() {
    let throttle = Throttle::new(SETTINGS);
    for _ in 0..100 {
        assert_eq!(throttle.attempt(&"house", s(0)), Ok(()));
        throttle.take_back(&"house", s(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flood_of_keys_is_forgotten_before_it_fills_the_memory_and_the_newest_are_kept(keys in 101_u32..2_000) {
        let throttle = Throttle::new(SETTINGS);
        for key in 0..keys {
            // A millisecond apart, so that it is known which are old.
            while throttle.attempt(&key, Duration::from_millis(key.into())).is_ok() {}
        }
        let now = Duration::from_millis(keys.into());
        prop_assert!(throttle.attempt(&(keys - 1), now).is_err(), "the newest is remembered");
        let remembered = (0..keys).filter(|key| throttle.attempt(key, now).is_err()).count();
        prop_assert!(remembered <= SETTINGS.max_keys, "{} are remembered", remembered);
    }
}
