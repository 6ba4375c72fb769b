#![expect(missing_docs, reason = "each is named for the promise that it holds the repository to")]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join;

use super::place::{SongsPlace, admitted, fail, failed, song, wishes};
use crate::conformance::support::hash;
use crate::dedupe::Advance;
use crate::ports::SongRepository;
use crate::song::{FailureReason, Song, SongId, Status, StatusKind};

/// Advances and holds the answer to what is found afterwards.
async fn advanced(songs: &Arc<dyn SongRepository>, bytes: &str, advance: &Advance) -> BTreeSet<SongId> {
    let changed = songs.advance(&hash(bytes), advance).await.unwrap();
    for song in &changed {
        assert_eq!(songs.find(song.id()).await.unwrap().as_ref(), Some(song), "as they are now");
    }
    changed.iter().map(Song::id).collect()
}

async fn kinds(songs: &Arc<dyn SongRepository>, of: &[&Song]) -> Vec<StatusKind> {
    let mut kinds = Vec::new();
    for song in of {
        kinds.push(songs.find(song.id()).await.unwrap().unwrap().status().kind());
    }
    kinds
}

pub async fn a_lease_marks_every_song_that_waits(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, two, other) = (admitted(&songs, "a").await, admitted(&songs, "a").await, admitted(&songs, "b").await);
    assert_eq!(advanced(&songs, "a", &Advance::Begin).await, BTreeSet::from([one.id(), two.id()]));
    assert_eq!(
        kinds(&place.songs().await, &[&one, &two, &other]).await,
        [StatusKind::Splitting, StatusKind::Splitting, StatusKind::Uploaded]
    );
    assert!(advanced(&songs, "a", &Advance::Begin).await.is_empty(), "a repeat changes nothing");
    assert!(advanced(&songs, "unheard of", &Advance::Begin).await.is_empty());
}

pub async fn a_lease_given_back_leaves_songs_waiting(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admitted(&songs, "a").await;
    assert!(advanced(&songs, "a", &Advance::HandBack).await.is_empty(), "it waits already");
    advanced(&songs, "a", &Advance::Begin).await;
    assert_eq!(advanced(&songs, "a", &Advance::HandBack).await, BTreeSet::from([song.id()]));
    assert_eq!(kinds(&songs, &[&song]).await, [StatusKind::Uploaded]);
}

pub async fn a_result_reaches_every_song_of_its_bytes(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let failed = failed(&songs, "a").await;
    let (waiting, other) = (admitted(&songs, "a").await, admitted(&songs, "b").await);
    assert_eq!(advanced(&songs, "a", &Advance::Finish).await, BTreeSet::from([failed.id(), waiting.id()]));
    assert_eq!(
        kinds(&place.songs().await, &[&failed, &waiting, &other]).await,
        [StatusKind::Split, StatusKind::Split, StatusKind::Uploaded]
    );
    assert_eq!(songs.find(failed.id()).await.unwrap().unwrap().status(), &Status::Split, "its reason is gone");
    assert!(advanced(&songs, "a", &Advance::Finish).await.is_empty(), "a repeat changes nothing");
}

pub async fn a_failure_reaches_every_song_that_waits(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, two, other) = (admitted(&songs, "a").await, admitted(&songs, "a").await, admitted(&songs, "b").await);
    assert_eq!(advanced(&songs, "a", &fail("no")).await, BTreeSet::from([one.id(), two.id()]));
    assert_eq!(
        kinds(&place.songs().await, &[&one, &two, &other]).await,
        [StatusKind::Failed, StatusKind::Failed, StatusKind::Uploaded]
    );
    assert!(advanced(&songs, "a", &fail("no again")).await.is_empty(), "a repeat changes nothing");
    // What is split stays split.
    let split = admitted(&songs, "c").await;
    advanced(&songs, "c", &Advance::Finish).await;
    assert!(advanced(&songs, "c", &fail("too late")).await.is_empty());
    assert_eq!(kinds(&songs, &[&split]).await, [StatusKind::Split]);
}

pub async fn a_failure_s_reason_is_kept_as_it_was(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for text in ["it is no song", "'); DROP TABLE songs; --", &"Ω🎵".repeat(FailureReason::MAX_CHARS)] {
        let song = admitted(&songs, text).await;
        songs.advance(song.hash(), &fail(text)).await.unwrap();
        let found = place.songs().await.find(song.id()).await.unwrap().unwrap();
        assert_eq!(found.status(), &Status::Failed { reason: FailureReason::new(text) });
    }
}

pub async fn only_results_and_failures_withdraw_wishes(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (bytes, last) in [("a", Advance::Finish), ("b", fail("no"))] {
        admitted(&songs, bytes).await;
        for advance in [Advance::Begin, Advance::HandBack] {
            songs.advance(&hash(bytes), &advance).await.unwrap();
            assert_eq!(wishes(&songs).await, [hash(bytes)], "after {advance:?}");
        }
        songs.advance(&hash("another"), &last).await.unwrap();
        assert_eq!(wishes(&songs).await, [hash(bytes)], "another hash's");
        songs.advance(&hash(bytes), &last).await.unwrap();
        assert_eq!(wishes(&songs).await, [], "after {last:?}");
    }
    // Also where there is no song any more.
    songs.request(&hash("c")).await.unwrap();
    songs.advance(&hash("c"), &Advance::Finish).await.unwrap();
    assert_eq!(wishes(&songs).await, []);
}

pub async fn results_and_failures_at_once_leave_songs_of_one_mind(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let same = [song("a"), song("a"), song("a"), song("a")];
    for song in &same {
        one.admit(song).await.unwrap();
    }
    let (finished, failed) =
        join(one.advance(&hash("a"), &Advance::Finish), async { other.advance(&hash("a"), &fail("no")).await }).await;
    assert_eq!(finished.unwrap().len(), same.len(), "whatever came first, the stems reach all");
    assert!(matches!(failed.unwrap().len(), 0 | 4));
    assert_eq!(kinds(&one, &same.each_ref()).await, [StatusKind::Split; 4]);
}
