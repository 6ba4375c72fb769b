//! The state machine of a song.

use proptest::prelude::*;
use time::OffsetDateTime;
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, Status, StatusKind, StoredSong, Title, Transition};

use super::songs::{reason, song, status, transition};

/// The allowed transitions, written independently of the code: name, source, target.
const TRANSITIONS: [(&str, StatusKind, StatusKind); 13] = [
    ("finish upload", StatusKind::Uploading, StatusKind::Uploaded),
    ("begin splitting", StatusKind::Uploaded, StatusKind::Splitting),
    ("reuse stems", StatusKind::Uploaded, StatusKind::Split),
    ("hand back", StatusKind::Splitting, StatusKind::Uploaded),
    ("accept stems", StatusKind::Splitting, StatusKind::Split),
    ("fail", StatusKind::Splitting, StatusKind::Failed),
    ("cancel", StatusKind::Uploaded, StatusKind::Failed),
    ("cancel", StatusKind::Splitting, StatusKind::Failed),
    ("retry", StatusKind::Failed, StatusKind::Uploaded),
    ("split again", StatusKind::Uploaded, StatusKind::Uploaded),
    ("split again", StatusKind::Splitting, StatusKind::Uploaded),
    ("split again", StatusKind::Split, StatusKind::Uploaded),
    ("split again", StatusKind::Failed, StatusKind::Uploaded),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_listed_transitions_are_allowed(song in song(), transitions in proptest::collection::vec(transition(), 0..30)) {
        let mut song = song;
        for transition in transitions {
            let before = song.clone();
            let name = transition.name();
            let kind = before.status().kind();
            let edge = TRANSITIONS.iter().find(|(edge, from, _)| (*edge, *from) == (name, kind));
            match (song.apply(transition), edge) {
                (Ok(()), Some((_, _, to))) => prop_assert_eq!(song.status().kind(), *to),
                (Err(refused), None) => {
                    prop_assert_eq!((refused.from, refused.transition), (kind, name));
                    prop_assert_eq!(&song, &before, "a rejected transition changes nothing");
                }
                (done, edge) => prop_assert!(false, "{name} from {kind}: {done:?}, expected {edge:?}"),
            }
            let same = (song.id(), song.title(), song.hash(), song.uploader(), song.uploaded_at());
            prop_assert_eq!(
                same,
                (before.id(), before.title(), before.hash(), before.uploader(), before.uploaded_at())
            );
        }
    }

    #[test]
    fn only_failures_have_a_reason(reason in reason(), status in status()) {
        let failed = Status::Splitting.after(Transition::Fail(reason.clone())).expect("an allowed transition");
        prop_assert_eq!(failed.failure(), Some(&reason));
        prop_assert_eq!(status.failure().is_some(), status.kind() == StatusKind::Failed);
    }

    #[test]
    fn stored_song_round_trips(song in song()) {
        let stored = StoredSong::from(song.clone());
        let kind: StatusKind = stored.status.kind().name().parse().expect("a stored name");
        let reason = stored.status.failure().map(FailureReason::as_str).map(str::to_owned);
        prop_assert_eq!(Status::from_stored(kind, reason.as_deref()), stored.status.clone());
        prop_assert_eq!(Song::from(stored), song);
    }

    #[test]
    fn reason_is_one_short_line(text in "\\PC{0,700}|[\\x00-\\x20a\u{202e}\u{2028}]{0,700}") {
        let reason = FailureReason::new(&text);
        let chars = reason.as_str().chars();
        prop_assert!(chars.clone().count() <= FailureReason::MAX_CHARS);
        let is_control = chars.clone().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
        prop_assert!(!is_control);
        prop_assert!(!reason.as_str().trim().is_empty());
        prop_assert_eq!(&FailureReason::new(reason.as_str()), &reason, "cleaning is idempotent");
    }
}

#[test]
fn methods_apply_their_transitions() {
    let title = Title::parse("Song", 10).expect("a title");
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut song = Song::begin(SongId::random(), title, SongHash::of(b"x"), None, now);
    let kinds = |song: &Song| song.status().kind();
    assert_eq!(kinds(&song), StatusKind::Uploading);
    song.finish_upload().expect("an allowed transition");
    song.begin_splitting().expect("an allowed transition");
    song.hand_back().expect("an allowed transition");
    assert_eq!(kinds(&song), StatusKind::Uploaded);
    song.begin_splitting().expect("an allowed transition");
    song.fail(FailureReason::new("no audio")).expect("an allowed transition");
    assert_eq!(song.status().failure().map(FailureReason::as_str), Some("no audio"));
    song.retry().expect("an allowed transition");
    song.cancel().expect("an allowed transition");
    assert!(song.status().is_cancelled());
    assert_eq!(song.status().failure().map(FailureReason::as_str), Some(FailureReason::CANCELLED));
    song.retry().expect("an allowed transition");
    song.reuse_stems().expect("an allowed transition");
    assert_eq!(kinds(&song), StatusKind::Split);
    let refused = song.accept_stems().expect_err("a forbidden transition");
    assert_eq!(refused.to_string(), "no transition \"accept stems\" from SPLIT");
}

#[test]
fn not_found_is_not_a_song_status() {
    for text in ["NOT_FOUND", "split", "Split", "", "SPLIT "] {
        assert!(text.parse::<StatusKind>().is_err(), "{text}");
    }
}
