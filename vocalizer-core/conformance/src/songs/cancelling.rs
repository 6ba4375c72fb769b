#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use futures_util::future::join;

use super::place::{SongsPlace, admit_song, failed_song, outbox, song, song_by};
use crate::support::hash;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{Cancelled, JobLine, RepositoryError};
use vocalizer_core::song::{FailureReason, StatusKind};

pub async fn cancelled_song_fails_and_leaves_the_outbox(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.cancel(song("a").id()).await.unwrap(), None);
    admit_song(&songs, "other").await;
    let (waits, runs) = (admit_song(&songs, "a").await, admit_song(&songs, "b").await);
    songs.advance(runs.hash(), &Advance::Begin).await.unwrap();
    for song in [waits, runs] {
        let Cancelled { song, is_wanted_by_others } = songs.cancel(song.id()).await.unwrap().unwrap();
        assert!(!is_wanted_by_others);
        assert_eq!(song.status().failure().map(FailureReason::as_str), Some("cancelled by the user"));
        assert_eq!(place.songs().await.find(song.id()).await.unwrap().as_ref(), Some(&song), "after a restart");
        assert_eq!(songs.cancel(song.id()).await.unwrap().unwrap().song, song, "a repeat");
        // Nothing of its job changes it: only a retry.
        for advance in [Advance::Begin, Advance::HandBack, Advance::FINISH_MP3] {
            assert_eq!(songs.advance(song.hash(), &advance).await.unwrap(), [], "{advance:?}");
        }
    }
    assert_eq!(outbox(&songs).await, [hash("other")]);
    let retried = songs.retry(songs.with_hash(&hash("a")).await.unwrap()[0].id()).await.unwrap().unwrap();
    assert_eq!(retried.status().kind(), StatusKind::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("other"), hash("a")]);
}

pub async fn cancelling_one_of_two_songs_keeps_the_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await, admit_song(&songs, "a").await);
    assert!(songs.cancel(one.id()).await.unwrap().unwrap().is_wanted_by_others);
    assert_eq!(outbox(&songs).await, [hash("a")]);
    songs.advance(one.hash(), &Advance::Begin).await.unwrap();
    assert!(songs.cancel(one.id()).await.unwrap().unwrap().is_wanted_by_others, "a repeat");
    let split = songs.advance(one.hash(), &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(split.iter().map(|song| song.id()).collect::<Vec<_>>(), [other.id()]);
    assert!(songs.find(one.id()).await.unwrap().unwrap().status().is_cancelled());
    // A retry reuses the stems.
    let retried = songs.retry(one.id()).await.unwrap().unwrap();
    assert_eq!(retried.status().kind(), StatusKind::Split);
}

pub async fn only_waiting_songs_are_cancelled(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (split, failed) = (admit_song(&songs, "a").await, failed_song(&songs, "b").await);
    songs.advance(split.hash(), &Advance::FINISH_MP3).await.unwrap();
    for song in [split, failed] {
        let before = songs.find(song.id()).await.unwrap();
        assert!(matches!(songs.cancel(song.id()).await, Err(RepositoryError::Conflict)));
        assert_eq!(songs.find(song.id()).await.unwrap(), before);
    }
}

pub async fn cancellation_and_result_exclude_each_other(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    for number in 0..8 {
        let song = admit_song(&one, &number.to_string()).await;
        let (cancelled, split) = join(one.cancel(song.id()), other.advance(song.hash(), &Advance::FINISH_MP3)).await;
        let kind = one.find(song.id()).await.unwrap().unwrap().status().kind();
        match (cancelled, split.unwrap().len()) {
            (Ok(Some(_)), 0) => assert_eq!(kind, StatusKind::Failed),
            (Err(RepositoryError::Conflict), 1) => assert_eq!(kind, StatusKind::Split),
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(outbox(&one).await, []);
    }
}

pub async fn only_waiting_songs_have_lines(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (ada, bob) = (place.user().await, place.user().await);
    let line = |owner, priority| JobLine { owner, priority };
    assert_eq!(songs.lines(&hash("a")).await.unwrap(), []);
    for (uploader, at) in [(Some(ada), 5), (None, 2), (Some(bob), 7), (Some(ada), 9)] {
        songs.admit(&song_by(uploader, "a", at)).await.unwrap();
    }
    songs.admit(&song_by(Some(bob), "b", 1)).await.unwrap();
    let expected = [line(None, 0), line(Some(ada), 0), line(Some(bob), 0)];
    assert_eq!(songs.lines(&hash("a")).await.unwrap(), expected, "the oldest song first");

    songs.set_priority(bob, 3).await.unwrap();
    songs.set_priority(ada, 8).await.unwrap();
    songs.set_priority(ada, -8).await.unwrap();
    let expected = [line(Some(bob), 3), line(None, 0), line(Some(ada), -8)];
    assert_eq!(place.songs().await.lines(&hash("a")).await.unwrap(), expected, "the highest priority first");
    songs.advance(&hash("a"), &Advance::Begin).await.unwrap();
    assert_eq!(songs.lines(&hash("a")).await.unwrap(), []);
}
