//! Song hashes: SHA-256 of the bytes, in a single spelling.

use proptest::prelude::*;
use vocalizer_core::song::{ParseHashError, SongHash, SongHasher};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunk_boundaries_make_no_difference(bytes: Vec<u8>, cuts: Vec<prop::sample::Index>) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut hasher = SongHasher::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            hasher.update(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(hasher.finish(), SongHash::of(&bytes));
    }

    #[test]
    fn text_and_json_round_trip(bytes: Vec<u8>) {
        let hash = SongHash::of(&bytes);
        let text = hash.to_string();
        prop_assert!(text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
        prop_assert_eq!(text.parse(), Ok(hash));
        let json = serde_json::to_string(&hash).expect("JSON");
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<SongHash>(&json).expect("a hash"), hash);
    }

    #[test]
    fn invalid_hash_is_rejected(text in "\\PC{0,70}|[0-9a-f]{60,68}|[0-9a-fA-F]{64}|[0-9a-f]{0,32}é[0-9a-f]{30,32}") {
        match text.parse::<SongHash>() {
            Ok(hash) => prop_assert_eq!(hash.to_string(), text),
            Err(ParseHashError::Length { found_bytes }) => {
                prop_assert_eq!(found_bytes, text.len());
                prop_assert_ne!(found_bytes, 64);
            }
            Err(ParseHashError::Digit { at_byte }) => {
                prop_assert!(!matches!(text.as_bytes()[at_byte], b'0'..=b'9' | b'a'..=b'f'));
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }
}

#[test]
fn hash_is_sha_256() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(SongHasher::new().finish().to_string(), empty);
    assert!(empty.to_uppercase().parse::<SongHash>().is_err(), "one hash has one spelling");
}
