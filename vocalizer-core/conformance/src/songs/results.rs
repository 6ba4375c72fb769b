#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use super::place::{SongsPlace, admit_song, fail, outbox, song};
use crate::support::{hash, provenance};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::part::{Stem, StemFormats};
use vocalizer_core::ports::{JobLine, RepositoryError};
use vocalizer_core::song::{Song, StatusKind, StemsInfo, Target};

/// Splits with a further model, for some of its stems.
fn further() -> Target {
    let model = "best".parse().unwrap();
    Target { model: Some(model), stems: Some(vec![Stem::PIANO]), key: hash("a by best") }
}

/// A result with more than four stems.
fn six() -> StemsInfo {
    let (names, provenance) = (Some(Stem::SIX.to_vec()), Some(provenance()));
    StemsInfo { formats: StemFormats::Both, names, provenance, ..StemsInfo::MP3 }
}

pub async fn song_split_again_keeps_its_stems_until_the_new_ones_are_stored(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (id, same) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    songs.advance(&hash("a"), &Advance::FINISH_MP3).await.unwrap();
    let song = songs.split_again(id, &further()).await.unwrap().unwrap();
    assert_eq!((song.status().kind(), song.target()), (StatusKind::Uploaded, &further()));
    assert_eq!(song.stems().key, Some(hash("a")), "the stems of the first model");
    assert_eq!(outbox(&songs).await, [hash("a by best")]);
    assert_eq!(songs.hashes_in(StatusKind::Uploaded).await.unwrap(), [hash("a by best")]);
    assert_eq!(place.songs().await.find(id).await.unwrap().as_ref(), Some(&song), "after a restart");

    assert!(songs.advance(&hash("a"), &Advance::Begin).await.unwrap().is_empty(), "not for the first model's job");
    assert_eq!(songs.advance(&hash("a by best"), &Advance::Begin).await.unwrap().len(), 1);
    songs.advance(&hash("a by best"), &Advance::Finish(six())).await.unwrap();
    let song = songs.find(id).await.unwrap().unwrap();
    assert_eq!((song.status().kind(), song.stems()), (StatusKind::Split, &six().of(&further())));
    assert_eq!(songs.find(same).await.unwrap().unwrap().stems().key, Some(hash("a")), "the other song");
    assert_eq!(songs.with_key(&hash("a by best")).await.unwrap(), [song]);
}

pub async fn song_with_stored_results_changes_to_them_without_a_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let id = admit_song(&songs, "a").await.id();
    songs.advance(&hash("a"), &Advance::FINISH_MP3).await.unwrap();
    songs.split_again(id, &further()).await.unwrap();
    songs.advance(&hash("a by best"), &Advance::Finish(six())).await.unwrap();
    let songs = place.songs().await;
    for (target, key) in [(Target::default_of(hash("a")), hash("a")), (further(), hash("a by best"))] {
        let song = songs.split_again(id, &target).await.unwrap().unwrap();
        assert_eq!((song.status().kind(), song.stems().key), (StatusKind::Split, Some(key)));
        assert_eq!(outbox(&songs).await, []);
    }
    // A new song for the same model shares them too.
    let later = songs.admit(&song("a").with_target(further())).await.unwrap();
    assert_eq!((later.status().kind(), later.stems()), (StatusKind::Split, &six().of(&further())));
    let mut results = songs.results(&hash("a")).await.unwrap();
    assert_eq!(songs.newest_results(1).await.unwrap(), [six().of(&further())]);
    results.sort_by_key(|result| result.names.is_some());
    assert_eq!(results, [StemsInfo::MP3.of(&Target::default_of(hash("a"))), six().of(&further())]);
}

pub async fn equal_requests_for_a_further_model_share_one_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let target = Target { stems: None, ..further() };
    let one = songs.admit(&song("a").with_target(target)).await.unwrap();
    let other = songs.admit(&song("a").with_target(further())).await.unwrap();
    let default = admit_song(&songs, "a").await;
    assert_eq!(outbox(&songs).await, [hash("a by best"), hash("a")]);
    let changed = songs.advance(&hash("a by best"), &Advance::Finish(six())).await.unwrap();
    let mut changed: Vec<_> = changed.iter().map(Song::id).collect();
    changed.sort_unstable();
    let mut due = vec![one.id(), other.id()];
    due.sort_unstable();
    assert_eq!(changed, due);
    assert_eq!(songs.find(default.id()).await.unwrap().unwrap().status().kind(), StatusKind::Uploaded);
}

pub async fn removing_last_song_removes_all_results(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (id, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    songs.advance(&hash("a"), &Advance::FINISH_MP3).await.unwrap();
    songs.split_again(id, &further()).await.unwrap();
    songs.advance(&hash("a by best"), &Advance::Finish(six())).await.unwrap();
    songs.remove(id).await.unwrap();
    assert_eq!(songs.results(&hash("a")).await.unwrap().len(), 2, "another song has the hash");
    let known = songs.known_keys().await.unwrap();
    assert!(known.contains(&hash("a")) && known.contains(&hash("a by best")), "{known:?}");
    songs.remove(other).await.unwrap();
    assert_eq!(songs.results(&hash("a")).await.unwrap(), []);
    assert_eq!(songs.known_keys().await.unwrap(), []);
    // A result that comes too late is not kept.
    songs.advance(&hash("a by best"), &Advance::Finish(six())).await.unwrap();
    assert_eq!(songs.newest_results(10).await.unwrap(), []);
}

pub async fn failed_further_model_leaves_the_stems(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let id = admit_song(&songs, "a").await.id();
    songs.advance(&hash("a"), &Advance::FINISH_MP3).await.unwrap();
    songs.split_again(id, &further()).await.unwrap();
    songs.advance(&hash("a by best"), &fail("no")).await.unwrap();
    let song = songs.find(id).await.unwrap().unwrap();
    assert_eq!((song.status().kind(), song.stems().key), (StatusKind::Failed, Some(hash("a"))));
    let retried = songs.retry(id).await.unwrap().unwrap();
    assert_eq!((retried.status().kind(), retried.target()), (StatusKind::Uploaded, &further()));
    assert_eq!(outbox(&songs).await, [hash("a by best")]);
    assert_eq!(songs.split_again(song_id(), &further()).await.unwrap(), None, "an unknown song");
    assert!(matches!(songs.retry(id).await, Err(RepositoryError::Conflict)));
}

fn song_id() -> vocalizer_core::song::SongId {
    song("unknown").id()
}

pub async fn lines_and_cancelling_concern_the_model_of_a_song(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (id, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    songs.split_again(id, &further()).await.unwrap();
    for key in [hash("a"), hash("a by best")] {
        assert_eq!(songs.lines(&key).await.unwrap(), [JobLine::default()]);
    }
    assert!(!songs.cancel(id).await.unwrap().unwrap().is_wanted_by_others, "the other song has another model");
    assert_eq!(songs.lines(&hash("a by best")).await.unwrap(), []);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    assert!(!songs.cancel(other).await.unwrap().unwrap().is_wanted_by_others);
    assert_eq!(outbox(&songs).await, []);
}
