//! Parts of the contract and stems of the models.

use proptest::prelude::*;
use vocalizer_core::part::{Part, Stem};

#[test]
fn parts_match_the_contract() {
    assert_eq!(Part::ALL.each_ref().map(Part::name), ["song", "drums", "bass", "other", "vocals", "accompaniment"]);
    assert_eq!(Part::ALL.map(Part::stem)[1..5], Stem::FOUR.map(Some));
    assert_eq!((Part::Song.stem(), Part::Accompaniment.stem()), (None, None));
}

#[test]
fn every_stem_is_a_part() {
    for stem in Stem::SIX {
        assert_eq!(Part::from(stem).stem(), Some(stem));
        assert_eq!(stem.name().parse(), Ok(Part::Stem(stem)));
    }
}

#[test]
fn names_equal_text_and_json() {
    let others =
        ["kick", "lead-vocals", "bowed_strings", "8bit", "a", &"x".repeat(31)].map(|name| name.parse().unwrap());
    for stem in Stem::SIX.into_iter().chain(others) {
        assert_eq!(stem.name().parse(), Ok(stem));
        assert_eq!(stem.to_string(), stem.name());
        let json = serde_json::to_value(stem).expect("JSON");
        assert_eq!(json, stem.name());
        assert_eq!(serde_json::from_value::<Stem>(json).expect("a stem"), stem);
    }
    for part in Part::ALL {
        assert_eq!(part.name().parse(), Ok(part));
        assert_eq!(serde_json::to_value(part).expect("JSON"), part.name());
    }
}

#[test]
fn other_parts_are_not_stems() {
    for name in ["song", "accompaniment"] {
        assert!(name.parse::<Stem>().is_err() && serde_json::from_value::<Stem>(name.into()).is_err(), "{name}");
    }
}

#[test]
fn stems_sort_in_the_order_of_the_models_then_by_name() {
    let mut stems: Vec<Stem> = ["kick", "vocals", "piano", "drums", "brass"].map(|name| name.parse().unwrap()).to_vec();
    stems.sort_unstable();
    assert_eq!(stems.iter().map(Stem::name).collect::<Vec<_>>(), ["drums", "vocals", "piano", "brass", "kick"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn error_for_a_bad_name_is_short_and_says_what_is_right(text in "\\PC{0,200}|[A-Z]{4,6}|drums |song\\.mp3|[a-z]{32}|[-_][a-z]") {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        prop_assume!(text.is_empty() || text.len() > 31 || text.starts_with(['-', '_']) || !text.chars().all(is_name));
        let stem = text.parse::<Stem>().expect_err("not a stem").to_string();
        let part = text.parse::<Part>().expect_err("not a part").to_string();
        prop_assert!(stem.ends_with("use 1 to 31 lower-case letters, digits, '-' and '_'"), "{}", stem);
        prop_assert!(part.ends_with("expected song, accompaniment or the name of a stem, such as vocals"), "{}", part);
        prop_assert!(stem.chars().count() < 500 && !stem.contains('\n'));
    }
}
