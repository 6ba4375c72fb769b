#![expect(missing_docs, reason = "each is named for the promise that it holds the repository to")]

use futures_util::future::join_all;

use super::place::{SongsPlace, admitted, failed, song, song_of, wishes};
use crate::conformance::support::{POLLS, hash, interrupt};
use crate::dedupe::Advance;
use crate::ports::RepositoryError;
use crate::song::{Status, StoredSong, Title};

pub async fn a_song_is_found_as_it_was_admitted(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    for song in [song_of(None, "a", 1), song_of(Some(user), "b", 999_999)] {
        assert_eq!(songs.admit(&song).await.unwrap(), song);
        assert_eq!(songs.find(song.id()).await.unwrap(), Some(song.clone()));
        assert_eq!(place.songs().await.find(song.id()).await.unwrap(), Some(song), "after a restart");
    }
    assert_eq!(songs.find(song("c").id()).await.unwrap(), None);
}

pub async fn the_first_song_of_its_bytes_asks_for_a_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(admitted(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(wishes(&songs).await, [hash("a")]);
    assert_eq!(wishes(&place.songs().await).await, [hash("a")], "after a restart");
}

pub async fn a_song_whose_bytes_wait_waits_for_the_same_job(place: &impl SongsPlace) {
    let songs = place.songs().await;
    admitted(&songs, "a").await;
    assert_eq!(admitted(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(wishes(&songs).await, [hash("a")]);
    // Also when the job is on the queue already.
    songs.published(songs.pending(1).await.unwrap()[0].number).await.unwrap();
    assert_eq!(admitted(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(wishes(&songs).await, []);
}

pub async fn a_song_whose_bytes_are_being_split_is_splitting(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.advance(admitted(&songs, "a").await.hash(), &Advance::Begin).await.unwrap();
    let joined = admitted(&songs, "a").await;
    assert_eq!(joined.status(), &Status::Splitting);
    assert_eq!(songs.find(joined.id()).await.unwrap(), Some(joined));
}

pub async fn a_song_whose_stems_are_there_is_split(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.advance(admitted(&songs, "a").await.hash(), &Advance::Finish).await.unwrap();
    let split = admitted(&songs, "a").await;
    assert_eq!(split.status(), &Status::Split);
    assert_eq!(songs.find(split.id()).await.unwrap(), Some(split));
    assert_eq!(wishes(&songs).await, []);
}

pub async fn a_failed_song_does_not_help_the_next(place: &impl SongsPlace) {
    let songs = place.songs().await;
    failed(&songs, "a").await;
    assert_eq!(wishes(&songs).await, []);
    assert_eq!(admitted(&songs, "a").await.status(), &Status::Uploaded);
    assert_eq!(wishes(&songs).await, [hash("a")]);
}

pub async fn admitting_a_song_again_changes_nothing(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = song("a");
    songs.admit(&song).await.unwrap();
    assert_eq!(songs.admit(&song).await.unwrap(), song);
    assert_eq!(wishes(&songs).await, [hash("a")]);
    // It is returned as it is by now.
    let title = Title::parse("another", usize::MAX).unwrap();
    songs.rename(song.id(), &title).await.unwrap();
    songs.advance(song.hash(), &Advance::Finish).await.unwrap();
    let now = songs.admit(&song).await.unwrap();
    assert_eq!((now.title(), now.status()), (&title, &Status::Split));
    assert_eq!(songs.with_hash(song.hash()).await.unwrap(), [now]);
    assert_eq!(wishes(&songs).await, []);
}

pub async fn another_song_with_the_same_identifier_is_refused(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admitted(&songs, "a").await;
    let impostor = StoredSong { hash: hash("b"), ..song.clone().into() }.into();
    assert!(matches!(songs.admit(&impostor).await, Err(RepositoryError::Conflict)));
    assert_eq!(songs.find(song.id()).await.unwrap(), Some(song));
    assert_eq!(wishes(&songs).await, [hash("a")]);
}

pub async fn songs_admitted_at_once_ask_for_one_job(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let new: Vec<_> = (0..8).map(|at| song_of(None, "a", at)).collect();
    let admissions =
        new.iter().enumerate().map(|(at, song)| if at % 2 == 0 { one.admit(song) } else { other.admit(song) });
    for admitted in join_all(admissions).await {
        assert_eq!(admitted.unwrap().status(), &Status::Uploaded);
    }
    assert_eq!(wishes(&one).await, [hash("a")]);
    assert_eq!(one.with_hash(&hash("a")).await.unwrap().len(), new.len());
}

pub async fn the_same_song_admitted_at_once_is_one_song(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let song = song("a");
    let admissions = (0..8).map(|at| if at % 2 == 0 { one.admit(&song) } else { other.admit(&song) });
    for admitted in join_all(admissions).await {
        assert_eq!(admitted.unwrap(), song);
    }
    assert_eq!(one.with_hash(song.hash()).await.unwrap(), [song]);
}

pub async fn a_dropped_admission_has_its_whole_effect_or_none(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for polls in POLLS {
        let song = song(&polls.to_string());
        interrupt(songs.admit(&song), polls).await;
        // Whatever it left under way is over when another write is.
        songs.published(-1).await.unwrap();
        let stored = songs.find(song.id()).await.unwrap();
        assert_eq!(wishes(&songs).await.contains(song.hash()), stored.is_some(), "after {polls} polls");
    }
}
