//! A song's life has the doors of the drawing and no others.

use proptest::prelude::*;
use time::OffsetDateTime;
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, Status, StatusKind, StoredSong, Title, Transition};

use super::songs::{reason, song, status, transition};

/// The drawing once more, written down apart from the code: where a door leads from, and where to.
const DOORS: [(&str, StatusKind, StatusKind); 7] = [
    ("finish upload", StatusKind::Uploading, StatusKind::Uploaded),
    ("begin splitting", StatusKind::Uploaded, StatusKind::Splitting),
    ("reuse stems", StatusKind::Uploaded, StatusKind::Split),
    ("hand back", StatusKind::Splitting, StatusKind::Uploaded),
    ("accept stems", StatusKind::Splitting, StatusKind::Split),
    ("fail", StatusKind::Splitting, StatusKind::Failed),
    ("retry", StatusKind::Failed, StatusKind::Uploaded),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_goes_through_doors_alone(song in song(), walk in proptest::collection::vec(transition(), 0..30)) {
        let mut song = song;
        for transition in walk {
            let before = song.clone();
            let name = transition.name();
            let kind = before.status().kind();
            let door = DOORS.iter().find(|(door, from, _)| (*door, *from) == (name, kind));
            match (song.apply(transition), door) {
                (Ok(()), Some((_, _, to))) => prop_assert_eq!(song.status().kind(), *to),
                (Err(refused), None) => {
                    prop_assert_eq!((refused.from, refused.transition), (kind, name));
                    prop_assert_eq!(&song, &before, "a refused transition changes nothing");
                }
                (done, door) => prop_assert!(false, "{name} from {kind}: {done:?}, where the drawing has {door:?}"),
            }
            let same = (song.id(), song.title(), song.hash(), song.uploader(), song.uploaded_at());
            prop_assert_eq!(
                same,
                (before.id(), before.title(), before.hash(), before.uploader(), before.uploaded_at())
            );
        }
    }

    #[test]
    fn only_a_failure_has_a_reason_and_it_is_the_one_given(reason in reason(), status in status()) {
        let failed = Status::Splitting.after(Transition::Fail(reason.clone())).expect("a door");
        prop_assert_eq!(failed.failure(), Some(&reason));
        prop_assert_eq!(status.failure().is_some(), status.kind() == StatusKind::Failed);
    }

    #[test]
    fn what_a_store_keeps_comes_back_the_same(song in song()) {
        let stored = StoredSong::from(song.clone());
        let kind: StatusKind = stored.status.kind().name().parse().expect("a name that was written");
        let reason = stored.status.failure().map(FailureReason::as_str).map(str::to_owned);
        prop_assert_eq!(Status::from_stored(kind, reason.as_deref()), stored.status.clone());
        prop_assert_eq!(Song::from(stored), song);
    }

    #[test]
    fn a_reason_is_one_short_line(text in "\\PC{0,700}|[\\x00-\\x20a\u{202e}\u{2028}]{0,700}") {
        let reason = FailureReason::new(&text);
        let chars = reason.as_str().chars();
        prop_assert!(chars.clone().count() <= FailureReason::MAX_CHARS);
        let steers = chars.clone().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
        prop_assert!(!steers);
        prop_assert!(!reason.as_str().trim().is_empty());
        prop_assert_eq!(&FailureReason::new(reason.as_str()), &reason, "a second cleaning finds nothing");
    }
}

#[test]
fn a_song_begins_uploading_and_its_methods_are_its_doors() {
    let title = Title::parse("Song", 10).expect("a title");
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut song = Song::begin(SongId::random(), title, SongHash::of(b"x"), None, now);
    let kinds = |song: &Song| song.status().kind();
    assert_eq!(kinds(&song), StatusKind::Uploading);
    song.finish_upload().expect("a door");
    song.begin_splitting().expect("a door");
    song.hand_back().expect("a door");
    assert_eq!(kinds(&song), StatusKind::Uploaded);
    song.begin_splitting().expect("a door");
    song.fail(FailureReason::new("no audio")).expect("a door");
    assert_eq!(song.status().failure().map(FailureReason::as_str), Some("no audio"));
    song.retry().expect("a door");
    song.reuse_stems().expect("a door");
    assert_eq!(kinds(&song), StatusKind::Split);
    let refused = song.accept_stems().expect_err("no door");
    assert_eq!(refused.to_string(), "no transition \"accept stems\" from SPLIT");
}

#[test]
fn not_found_is_no_status_of_a_song() {
    for text in ["NOT_FOUND", "split", "Split", "", "SPLIT "] {
        assert!(text.parse::<StatusKind>().is_err(), "{text}");
    }
}
