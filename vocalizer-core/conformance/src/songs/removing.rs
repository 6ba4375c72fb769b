#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use futures_util::future::{join, join_all};

use super::place::{SongsPlace, admit_song, failed_song, outbox, song};
use crate::support::hash;
use vocalizer_core::ports::Removed;
use vocalizer_core::song::Title;

pub async fn removal_reports_remaining_songs_with_hash(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.remove(song("a").id()).await.unwrap(), None);
    let (one, last) = (failed_song(&songs, "a").await, admit_song(&songs, "a").await);
    admit_song(&songs, "b").await;
    let removed = songs.remove(one.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: one.clone(), others_with_hash: 1 }));
    assert_eq!(place.songs().await.find(one.id()).await.unwrap(), None, "after a restart");
    assert_eq!(songs.remove(one.id()).await.unwrap(), None, "a repeat");
    let removed = songs.remove(last.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: last, others_with_hash: 0 }));
}

pub async fn removing_last_song_clears_outbox(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await, admit_song(&songs, "a").await);
    songs.remove(one.id()).await.unwrap();
    assert_eq!(outbox(&songs).await, [hash("a")], "another song still waits");
    songs.remove(other.id()).await.unwrap();
    assert_eq!(outbox(&songs).await, []);
}

pub async fn concurrent_removals_succeed_once(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    for number in 0..8 {
        let id = admit_song(&one, &number.to_string()).await.id();
        let (first, second) = join(one.remove(id), other.remove(id)).await;
        let outcome = (first.unwrap(), second.unwrap());
        assert!(matches!(outcome, (Some(_), None) | (None, Some(_))), "{outcome:?}");
    }
}

pub async fn concurrent_removals_report_one_last_song(place: &impl SongsPlace) {
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

pub async fn song_is_renamed(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let mut song = admit_song(&songs, "a").await;
    let other = admit_song(&songs, "b").await;
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
