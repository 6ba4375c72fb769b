#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use futures_util::future::join_all;

use super::place::{SongsPlace, admit_song, failed_song, outbox, song, song_by};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::{Status, StoredSong, Title};

pub async fn admitted_song_is_found_unchanged(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    for song in [song_by(None, "a", 1), song_by(Some(user), "b", 999_999)] {
        assert_eq!(songs.admit(&song).await.unwrap(), song);
        assert_eq!(songs.find(song.id()).await.unwrap(), Some(song.clone()));
        assert_eq!(place.songs().await.find(song.id()).await.unwrap(), Some(song), "after a restart");
    }
    assert_eq!(songs.find(song("c").id()).await.unwrap(), None);
}

pub async fn first_song_with_hash_requests_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(admit_song(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    assert_eq!(outbox(&place.songs().await).await, [hash("a")], "after a restart");
}

pub async fn song_with_waiting_hash_shares_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    admit_song(&songs, "a").await;
    assert_eq!(admit_song(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    // Also if the job is already on the queue.
    songs.published(songs.pending(1).await.unwrap()[0].number).await.unwrap();
    assert_eq!(admit_song(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(outbox(&songs).await, []);
}

pub async fn song_with_splitting_hash_is_splitting(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.advance(admit_song(&songs, "a").await.hash(), &Advance::Begin).await.unwrap();
    let joined = admit_song(&songs, "a").await;
    assert_eq!(joined.status(), &Status::Splitting);
    assert_eq!(songs.find(joined.id()).await.unwrap(), Some(joined));
}

pub async fn song_with_existing_stems_is_split(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.advance(admit_song(&songs, "a").await.hash(), &Advance::FINISH_MP3).await.unwrap();
    let split = admit_song(&songs, "a").await;
    assert_eq!(split.status(), &Status::Split);
    assert_eq!(songs.find(split.id()).await.unwrap(), Some(split));
    assert_eq!(outbox(&songs).await, []);
}

pub async fn song_after_failed_one_requests_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    failed_song(&songs, "a").await;
    assert_eq!(outbox(&songs).await, []);
    assert_eq!(admit_song(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn repeated_admission_changes_nothing(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = song("a");
    songs.admit(&song).await.unwrap();
    assert_eq!(songs.admit(&song).await.unwrap(), song);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    // The current state is returned.
    let title = Title::parse("another", usize::MAX).unwrap();
    songs.rename(song.id(), &title).await.unwrap();
    songs.advance(song.hash(), &Advance::FINISH_MP3).await.unwrap();
    let current = songs.admit(&song).await.unwrap();
    assert_eq!((current.title(), current.status()), (&title, &Status::Split));
    assert_eq!(songs.with_hash(song.hash()).await.unwrap(), [current]);
    assert_eq!(outbox(&songs).await, []);
}

pub async fn duplicate_song_id_is_rejected(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit_song(&songs, "a").await;
    let other_bytes = StoredSong { hash: hash("b"), ..song.clone().into() };
    let other_user = StoredSong { uploader: Some(place.user().await), ..song.clone().into() };
    for duplicate in [other_bytes, other_user] {
        assert!(matches!(songs.admit(&duplicate.into()).await, Err(RepositoryError::Conflict)));
    }
    assert_eq!(songs.find(song.id()).await.unwrap(), Some(song));
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn concurrently_admitted_songs_request_one_job(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let new: Vec<_> = (0..8).map(|at| song_by(None, "a", at)).collect();
    let admissions =
        new.iter().enumerate().map(|(at, song)| if at % 2 == 0 { one.admit(song) } else { other.admit(song) });
    for admitted in join_all(admissions).await {
        assert_eq!(admitted.unwrap().status(), &Status::Uploaded);
    }
    assert_eq!(outbox(&one).await, [hash("a")]);
    assert_eq!(one.with_hash(&hash("a")).await.unwrap().len(), new.len());
}

pub async fn concurrent_admissions_store_one_song(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let song = song("a");
    let admissions = (0..8).map(|at| if at % 2 == 0 { one.admit(&song) } else { other.admit(&song) });
    for admitted in join_all(admissions).await {
        assert_eq!(admitted.unwrap(), song);
    }
    assert_eq!(one.with_hash(song.hash()).await.unwrap(), [song]);
}

pub async fn dropped_admission_is_atomic(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for polls in POLLS {
        let song = song(&polls.to_string());
        interrupt(songs.admit(&song), polls).await;
        // Once another write is done, nothing of the dropped call is in progress.
        songs.published(-1).await.unwrap();
        let stored = songs.find(song.id()).await.unwrap();
        assert_eq!(outbox(&songs).await.contains(song.hash()), stored.is_some(), "after {polls} polls");
    }
}
