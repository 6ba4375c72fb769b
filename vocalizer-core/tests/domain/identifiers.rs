//! Identifiers: random, opaque, in a single spelling.

use std::collections::HashSet;

use proptest::prelude::*;
use vocalizer_core::account::UserId;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::BlobKey;
use vocalizer_core::song::{SongHash, SongId};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_json_and_bytes_round_trip(bytes: [u8; 16]) {
        let id = SongId::from_bytes(bytes);
        prop_assert_eq!(id.to_bytes(), bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<SongId>(&json).expect("an identifier"), id);
    }

    #[test]
    fn other_spellings_are_rejected(bytes: [u8; 16], garbage in "\\PC{0,40}") {
        let text = UserId::from_bytes(bytes).to_string();
        let others =
            [text.replace('-', ""), format!("{{{text}}}"), format!("urn:uuid:{text}"), format!(" {text}"), garbage];
        for other in others.iter().filter(|other| **other != text) {
            prop_assert!(other.parse::<UserId>().is_err(), "{}", other);
            let json = serde_json::to_string(other).expect("JSON");
            prop_assert!(serde_json::from_str::<UserId>(&json).is_err(), "{}", other);
        }
        let upper = text.to_uppercase();
        prop_assert!(upper == text || upper.parse::<UserId>().is_err());
    }

    #[test]
    fn blob_names_of_two_hashes_are_distinct(one: Vec<u8>, other: Vec<u8>) {
        let names = |bytes: &[u8]| blobs(SongHash::of(bytes)).iter().map(BlobKey::to_string).collect::<HashSet<_>>();
        prop_assert_eq!(names(&one).len(), 4 + 2 * Stem::SIX.len() + Part::ALL.len() * (Format::ALL.len() + 2));
        prop_assert_eq!(names(&one).is_disjoint(&names(&other)), one != other);
        prop_assert!(names(&one).iter().all(|name| !name.contains("..") && !name.starts_with('/')));
    }
}

/// Returns the keys of all blobs that a hash can have.
fn blobs(hash: SongHash) -> Vec<BlobKey> {
    let stems = Stem::SIX.into_iter().flat_map(|stem| [BlobKey::Stem(hash, stem), BlobKey::Lossless(hash, stem)]);
    let made = Part::ALL.into_iter().flat_map(|part| Format::ALL.map(|format| BlobKey::Rendition(hash, part, format)));
    let peaks = Part::ALL.map(|part| BlobKey::Peaks(hash, part));
    let previews = Part::ALL.map(|part| BlobKey::Preview(hash, part));
    let whole = [BlobKey::Source(hash), BlobKey::Analysis(hash), BlobKey::Cover(hash), BlobKey::Lyrics(hash)];
    whole.into_iter().chain(stems).chain(made).chain(peaks).chain(previews).collect()
}

#[test]
fn random_identifiers_are_distinct() {
    let identifiers: HashSet<_> = (0..1_000).map(|_| SongId::random()).collect();
    assert_eq!(identifiers.len(), 1_000);
}
