//! Secrets: hidden from logs, equal only to themselves.

use proptest::prelude::*;
use vocalizer_core::account::{PasswordHash, SessionDigest};
use vocalizer_core::secret::Secret;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn debug_hides_secrets(text in "\\PC{0,60}") {
        prop_assert_eq!(format!("{:?}", Secret::new(text.clone())), "Secret(..)");
        prop_assert_eq!(format!("{:#?}", Some(Secret::new(text.clone().into_bytes()))), "Some(\n    Secret(..),\n)");
        prop_assert_eq!(format!("{:?}", PasswordHash::new(text)), "PasswordHash(Secret(..))");
    }

    #[test]
    fn secret_matches_only_itself(secret: String, guess in "\\PC{0,4}") {
        prop_assert!(Secret::new(secret.clone()).matches(secret.as_bytes()));
        prop_assert_eq!(Secret::new(secret.clone()).matches(guess.as_bytes()), secret == guess);
        let longer = format!("{secret}{guess}x");
        prop_assert!(!Secret::new(secret).matches(longer.as_bytes()));
    }

    #[test]
    fn secret_round_trips(text: String) {
        let read: Secret<String> = serde_json::from_value(text.clone().into()).expect("a secret");
        prop_assert_eq!(read.expose(), &text);
        prop_assert_eq!(read.into_exposed(), text);
    }

    #[test]
    fn different_tokens_have_different_digests(one: String, other: String) {
        let digest = |text: &str| SessionDigest::of(&Secret::new(text.to_owned()));
        prop_assert_eq!(digest(&one) == digest(&other), one == other);
    }
}
