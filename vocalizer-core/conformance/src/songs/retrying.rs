#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use futures_util::future::join;

use super::place::{SongsPlace, admit_song, fail, failed_song, outbox, song};
use crate::support::hash;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::{Status, StatusKind};

pub async fn retried_song_waits_and_requests_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = failed_song(&songs, "a").await;
    let retried = songs.retry(song.id()).await.unwrap().unwrap();
    assert_eq!((retried.id(), retried.status()), (song.id(), &Status::Uploaded));
    assert_eq!(place.songs().await.find(song.id()).await.unwrap(), Some(retried), "after a restart");
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn retry_joins_existing_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other, third) = (song("a"), song("a"), song("a"));
    for song in [&one, &other, &third] {
        songs.admit(song).await.unwrap();
    }
    songs.advance(one.hash(), &fail("no")).await.unwrap();
    let status = async |id| songs.retry(id).await.unwrap().unwrap().status().clone();
    // The first requests a job, the second shares it, and the third joins when a worker has it.
    assert_eq!(status(one.id()).await, Status::Uploaded);
    assert_eq!(status(other.id()).await, Status::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    songs.advance(one.hash(), &Advance::Begin).await.unwrap();
    assert_eq!(status(third.id()).await, Status::Splitting);
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn only_failed_songs_are_retried(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.retry(song("a").id()).await.unwrap(), None);
    let id = admit_song(&songs, "a").await.id();
    for (advance, kind) in [
        (Advance::HandBack, StatusKind::Uploaded),
        (Advance::Begin, StatusKind::Splitting),
        (Advance::FINISH_MP3, StatusKind::Split),
    ] {
        songs.advance(&hash("a"), &advance).await.unwrap();
        let before = outbox(&songs).await;
        assert!(matches!(songs.retry(id).await, Err(RepositoryError::Conflict)), "{kind}");
        assert_eq!(songs.find(id).await.unwrap().unwrap().status().kind(), kind);
        assert_eq!(outbox(&songs).await, before);
    }
    let id = failed_song(&songs, "b").await.id();
    songs.retry(id).await.unwrap();
    assert!(matches!(songs.retry(id).await, Err(RepositoryError::Conflict)), "a repeat");
}

pub async fn concurrent_retries_succeed_once(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let id = failed_song(&one, "a").await.id();
    let outcome = join(one.retry(id), other.retry(id)).await;
    assert!(
        matches!(
            outcome,
            (Ok(Some(_)), Err(RepositoryError::Conflict)) | (Err(RepositoryError::Conflict), Ok(Some(_)))
        ),
        "{outcome:?}"
    );
    assert_eq!(outbox(&one).await, [hash("a")]);
}
