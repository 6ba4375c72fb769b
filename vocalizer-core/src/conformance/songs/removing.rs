#![expect(missing_docs, reason = "each is named for the promise that it holds the repository to")]

use futures_util::future::{join, join_all};

use super::place::{SongsPlace, admitted, failed, song, wishes};
use crate::conformance::support::hash;
use crate::ports::Removed;
use crate::song::Title;

pub async fn a_removed_song_is_gone_and_said_to_be_the_last(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.remove(song("a").id()).await.unwrap(), None);
    let (one, failed) = (failed(&songs, "a").await, admitted(&songs, "a").await);
    admitted(&songs, "b").await;
    let removed = songs.remove(one.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: one.clone(), others_with_hash: 1 }));
    assert_eq!(place.songs().await.find(one.id()).await.unwrap(), None, "after a restart");
    assert_eq!(songs.remove(one.id()).await.unwrap(), None, "a repeat");
    let removed = songs.remove(failed.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: failed, others_with_hash: 0 }));
}

pub async fn the_last_song_takes_its_wish_along(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admitted(&songs, "a").await, admitted(&songs, "a").await);
    songs.remove(one.id()).await.unwrap();
    assert_eq!(wishes(&songs).await, [hash("a")], "somebody still waits");
    songs.remove(other.id()).await.unwrap();
    assert_eq!(wishes(&songs).await, []);
}

pub async fn a_song_removed_by_two_at_once_is_removed_by_one(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    for number in 0..8 {
        let id = admitted(&one, &number.to_string()).await.id();
        let (first, second) = join(one.remove(id), other.remove(id)).await;
        let outcome = (first.unwrap(), second.unwrap());
        assert!(matches!(outcome, (Some(_), None) | (None, Some(_))), "{outcome:?}");
    }
}

pub async fn of_songs_removed_at_once_one_is_the_last(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let same: Vec<_> = (0..6).map(|_| song("a")).collect();
    for song in &same {
        one.admit(song).await.unwrap();
    }
    let removals = same.iter().enumerate();
    let removals = removals.map(|(at, song)| if at % 2 == 0 { one.remove(song.id()) } else { other.remove(song.id()) });
    let removals = join_all(removals).await.into_iter();
    let mut left: Vec<_> = removals.map(|removed| removed.unwrap().unwrap().others_with_hash).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4, 5]);
}

pub async fn a_song_gets_another_title(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let mut song = admitted(&songs, "a").await;
    let other = admitted(&songs, "b").await;
    for text in ["x", "'; --", &"Ω".repeat(200)] {
        let title = Title::parse(text, usize::MAX).unwrap();
        song.rename(title.clone());
        assert_eq!(songs.rename(song.id(), &title).await.unwrap(), Some(song.clone()));
        assert_eq!(place.songs().await.find(song.id()).await.unwrap(), Some(song.clone()), "after a restart");
    }
    assert_eq!(songs.find(other.id()).await.unwrap(), Some(other.clone()));
    songs.remove(other.id()).await.unwrap();
    assert_eq!(songs.rename(other.id(), other.title()).await.unwrap(), None);
}
