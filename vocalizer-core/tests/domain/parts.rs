//! Parts of the contract and stems of the models.

use proptest::prelude::*;
use vocalizer_core::part::{Part, Stem};

#[test]
fn parts_match_the_contract() {
    assert_eq!(Part::ALL.map(Part::name), ["song", "drums", "bass", "other", "vocals", "accompaniment"]);
    assert_eq!(Part::ALL.map(Part::stem)[1..5], Stem::FOUR.map(Some));
    assert_eq!((Part::Song.stem(), Part::Accompaniment.stem()), (None, None));
}

#[test]
fn only_the_four_stems_are_parts() {
    for stem in Stem::ALL {
        let part = Part::try_from(stem);
        assert_eq!(part.is_ok(), Stem::FOUR.contains(&stem), "{stem}");
        if let Ok(part) = part {
            assert_eq!(part.stem(), Some(stem));
        }
    }
}

#[test]
fn names_equal_text_and_json() {
    for stem in Stem::ALL {
        assert_eq!(stem.name().parse(), Ok(stem));
        assert_eq!(serde_json::to_value(stem).expect("JSON"), stem.name());
    }
    for part in Part::ALL {
        assert_eq!(part.name().parse(), Ok(part));
        assert_eq!(serde_json::to_value(part).expect("JSON"), part.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unknown_name_error_is_short_and_lists_known_names(text in "\\PC{0,200}|[A-Z]{4,6}|drums |song\\.mp3") {
        prop_assume!(Stem::ALL.iter().all(|stem| stem.name() != text) && text != "song" && text != "accompaniment");
        let stem = text.parse::<Stem>().expect_err("not a stem").to_string();
        let part = text.parse::<Part>().expect_err("not a part").to_string();
        prop_assert!(stem.ends_with("expected one of drums, bass, other, vocals, guitar, piano"), "{}", stem);
        prop_assert!(part.ends_with("expected one of song, drums, bass, other, vocals, accompaniment"), "{}", part);
        prop_assert!(stem.chars().count() < 500 && !stem.contains('\n'));
    }
}
