//! The bounded memory of the in-memory throttle; the conformance suite tests the delays.

use std::time::Duration;

use proptest::prelude::*;
use time::OffsetDateTime;
use vocalizer_core::ports::{Attempts as _, ThrottleSettings};
use vocalizer_core::service::Throttle;

const SETTINGS: ThrottleSettings = ThrottleSettings {
    free: 3,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
};

const MAX_KEYS: usize = 100;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn number_of_keys_is_bounded_and_newest_are_kept(keys in 101_u32..2_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let throttle = Throttle::new(MAX_KEYS);
        let waits = |key: u32, now: OffsetDateTime| {
            let wait = runtime.block_on(throttle.attempt(&key.to_string(), &SETTINGS, now));
            wait.expect("memory does not fail").is_some()
        };
        let at = |key: u32| OffsetDateTime::UNIX_EPOCH + Duration::from_millis(key.into());
        for key in 0..keys {
            // One millisecond apart, so that the order is known.
            while !waits(key, at(key)) {}
        }
        prop_assert!(waits(keys - 1, at(keys)), "the newest key was dropped");
        let stored = (0..keys).filter(|key| waits(*key, at(keys))).count();
        prop_assert!(stored <= MAX_KEYS, "{} keys are stored", stored);
    }
}
