#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join;

use super::place::{SongsPlace, admit_song, fail, failed_song, outbox, song};
use crate::support::{hash, provenance};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::part::StemFormats;
use vocalizer_core::ports::SongRepository;
use vocalizer_core::song::{FailureReason, Song, SongId, Status, StatusKind, StemsInfo};

/// Advances songs and checks that the returned ones match the stored ones.
async fn advance_songs(songs: &Arc<dyn SongRepository>, bytes: &str, advance: &Advance) -> BTreeSet<SongId> {
    let changed = songs.advance(&hash(bytes), advance).await.unwrap();
    for song in &changed {
        assert_eq!(
            songs.find(song.id()).await.unwrap().as_ref(),
            Some(song),
            "returned song differs from the stored one"
        );
    }
    changed.iter().map(Song::id).collect()
}

async fn statuses(songs: &Arc<dyn SongRepository>, of: &[&Song]) -> Vec<StatusKind> {
    let mut kinds = Vec::new();
    for song in of {
        kinds.push(songs.find(song.id()).await.unwrap().unwrap().status().kind());
    }
    kinds
}

pub async fn lease_marks_all_waiting_songs(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, two, other) =
        (admit_song(&songs, "a").await, admit_song(&songs, "a").await, admit_song(&songs, "b").await);
    assert_eq!(advance_songs(&songs, "a", &Advance::Begin).await, BTreeSet::from([one.id(), two.id()]));
    assert_eq!(
        statuses(&place.songs().await, &[&one, &two, &other]).await,
        [StatusKind::Splitting, StatusKind::Splitting, StatusKind::Uploaded]
    );
    assert!(advance_songs(&songs, "a", &Advance::Begin).await.is_empty(), "a repeat changes nothing");
    assert!(advance_songs(&songs, "unknown", &Advance::Begin).await.is_empty());
}

pub async fn returned_lease_leaves_songs_waiting(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit_song(&songs, "a").await;
    assert!(advance_songs(&songs, "a", &Advance::HandBack).await.is_empty(), "the song already waits");
    advance_songs(&songs, "a", &Advance::Begin).await;
    assert_eq!(advance_songs(&songs, "a", &Advance::HandBack).await, BTreeSet::from([song.id()]));
    assert_eq!(statuses(&songs, &[&song]).await, [StatusKind::Uploaded]);
}

pub async fn result_finishes_all_songs_with_hash(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let failed = failed_song(&songs, "a").await;
    let (waiting, other) = (admit_song(&songs, "a").await, admit_song(&songs, "b").await);
    assert_eq!(advance_songs(&songs, "a", &Advance::FINISH_MP3).await, BTreeSet::from([failed.id(), waiting.id()]));
    assert_eq!(
        statuses(&place.songs().await, &[&failed, &waiting, &other]).await,
        [StatusKind::Split, StatusKind::Split, StatusKind::Uploaded]
    );
    assert_eq!(
        songs.find(failed.id()).await.unwrap().unwrap().status(),
        &Status::Split,
        "the failure reason is cleared"
    );
    assert!(advance_songs(&songs, "a", &Advance::FINISH_MP3).await.is_empty(), "a repeat changes nothing");
}

pub async fn result_is_stored_with_formats_and_provenance(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (bytes, formats) in [("a", StemFormats::Mp3), ("b", StemFormats::Flac), ("c", StemFormats::Both)] {
        let waiting = admit_song(&songs, bytes).await;
        assert_eq!(waiting.stems(), &StemsInfo::MP3);
        let stems = StemsInfo { formats, provenance: Some(provenance()), ..StemsInfo::MP3 };
        advance_songs(&songs, bytes, &Advance::Finish(stems.clone())).await;
        let stems = stems.of(waiting.target());
        // A repeat, as of a second worker, changes nothing.
        advance_songs(&songs, bytes, &Advance::FINISH_MP3).await;
        let later = admit_song(&songs, bytes).await;
        assert_eq!(later.stems(), &stems, "a song that reuses stems");
        for id in [waiting.id(), later.id()] {
            assert_eq!(place.songs().await.find(id).await.unwrap().unwrap().stems(), &stems);
        }
    }
}

pub async fn failure_marks_all_waiting_songs(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, two, other) =
        (admit_song(&songs, "a").await, admit_song(&songs, "a").await, admit_song(&songs, "b").await);
    assert_eq!(advance_songs(&songs, "a", &fail("no")).await, BTreeSet::from([one.id(), two.id()]));
    assert_eq!(
        statuses(&place.songs().await, &[&one, &two, &other]).await,
        [StatusKind::Failed, StatusKind::Failed, StatusKind::Uploaded]
    );
    assert!(advance_songs(&songs, "a", &fail("no again")).await.is_empty(), "a repeat changes nothing");
    // A split song stays split.
    let split = admit_song(&songs, "c").await;
    advance_songs(&songs, "c", &Advance::FINISH_MP3).await;
    assert!(advance_songs(&songs, "c", &fail("too late")).await.is_empty());
    assert_eq!(statuses(&songs, &[&split]).await, [StatusKind::Split]);
}

pub async fn failure_reason_is_stored_unchanged(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for text in ["not an audio file", "'); DROP TABLE songs; --", &"Ω🎵".repeat(FailureReason::MAX_CHARS)] {
        let song = admit_song(&songs, text).await;
        songs.advance(song.hash(), &fail(text)).await.unwrap();
        let found = place.songs().await.find(song.id()).await.unwrap().unwrap();
        assert_eq!(found.status(), &Status::Failed { reason: FailureReason::new(text) });
    }
}

pub async fn only_results_and_failures_clear_outbox(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (bytes, last) in [("a", Advance::FINISH_MP3), ("b", fail("no"))] {
        admit_song(&songs, bytes).await;
        for advance in [Advance::Begin, Advance::HandBack] {
            songs.advance(&hash(bytes), &advance).await.unwrap();
            assert_eq!(outbox(&songs).await, [hash(bytes)], "after {advance:?}");
        }
        songs.advance(&hash("another"), &last).await.unwrap();
        assert_eq!(outbox(&songs).await, [hash(bytes)], "entries of other hashes stay");
        songs.advance(&hash(bytes), &last).await.unwrap();
        assert_eq!(outbox(&songs).await, [], "after {last:?}");
    }
    // Also if there is no song any more.
    songs.request(&hash("c")).await.unwrap();
    songs.advance(&hash("c"), &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(outbox(&songs).await, []);
}

pub async fn concurrent_result_and_failure_leave_same_status(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let same = [song("a"), song("a"), song("a"), song("a")];
    for song in &same {
        one.admit(song).await.unwrap();
    }
    let (finished, failed) =
        join(one.advance(&hash("a"), &Advance::FINISH_MP3), async { other.advance(&hash("a"), &fail("no")).await })
            .await;
    assert_eq!(finished.unwrap().len(), same.len(), "the stems reach all songs in any order");
    assert!(matches!(failed.unwrap().len(), 0 | 4));
    assert_eq!(statuses(&one, &same.each_ref()).await, [StatusKind::Split; 4]);
}
