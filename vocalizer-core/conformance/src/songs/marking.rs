#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use futures_util::future::join_all;

use super::place::{SongsPlace, admit_song, song};
use vocalizer_core::ports::{RepositoryError, SongRepository};
use vocalizer_core::song::{Marker, MarkerId, SongId, Title};

fn marker(at_ms: u64, name: &str) -> Marker {
    Marker { id: MarkerId::random(), at_ms, name: Title::parse(name, 100).unwrap() }
}

async fn stored(songs: &Arc<dyn SongRepository>, song: SongId, marker: Marker) -> Marker {
    assert!(songs.insert_marker(song, &marker, 100).await.unwrap());
    marker
}

pub async fn markers_are_listed_by_time(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    let late = stored(&songs, one, marker(u64::from(u32::MAX), "„Fin“ 🎵")).await;
    let early = stored(&songs, one, marker(0, "Intro")).await;
    let foreign = stored(&songs, other, marker(7, "Intro")).await;
    let mut same = [stored(&songs, one, marker(5, "x")).await, stored(&songs, one, marker(5, "x")).await];
    same.sort_by_key(|marker| marker.id);
    let [first, second] = same;
    assert_eq!(place.songs().await.markers(one).await.unwrap(), [early, first, second, late]);
    assert_eq!(songs.markers(other).await.unwrap(), [foreign]);
    assert_eq!(songs.markers(SongId::random()).await.unwrap(), []);
}

pub async fn marker_needs_existing_song_and_unused_id(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "b").await.id());
    let known = stored(&songs, one, marker(1, "known")).await;
    for (id, refused) in [(one, known.clone()), (other, known.clone()), (song("c").id(), marker(1, "c"))] {
        let answer = songs.insert_marker(id, &refused, 100).await;
        assert!(matches!(answer, Err(RepositoryError::Conflict)), "{answer:?}");
    }
    assert_eq!(songs.markers(one).await.unwrap(), [known]);
    assert_eq!(songs.markers(other).await.unwrap(), []);
}

pub async fn markers_of_a_song_are_limited(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let (song, elsewhere) = (admit_song(&one, "a").await.id(), admit_song(&one, "b").await.id());
    let markers: Vec<_> = (0..20).map(|at| marker(at, "x")).collect();
    let stored = markers.iter().enumerate().map(|(at, marker)| {
        let songs = if at % 2 == 0 { &one } else { &other };
        songs.insert_marker(song, marker, 5)
    });
    let stored = join_all(stored).await.into_iter().filter(|stored| *stored.as_ref().unwrap()).count();
    assert_eq!((stored, one.markers(song).await.unwrap().len()), (5, 5));
    assert!(one.insert_marker(elsewhere, &marker(0, "x"), 5).await.unwrap());
}

pub async fn marker_changes_what_is_given(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "b").await.id());
    let changed = stored(&songs, one, marker(1, "before")).await;
    let kept = stored(&songs, one, marker(3, "kept")).await;
    let name = Title::parse("after", 100).unwrap();
    assert!(!songs.change_marker(other, changed.id, Some(9), None).await.unwrap(), "a marker of another song");
    assert!(!songs.change_marker(one, MarkerId::random(), Some(9), None).await.unwrap());
    assert!(songs.change_marker(one, changed.id, None, None).await.unwrap());
    assert_eq!(songs.markers(one).await.unwrap(), [changed.clone(), kept.clone()]);
    assert!(songs.change_marker(one, changed.id, None, Some(&name)).await.unwrap());
    let changed = Marker { name, ..changed };
    assert_eq!(songs.markers(one).await.unwrap(), [changed.clone(), kept.clone()]);
    assert!(songs.change_marker(one, changed.id, Some(4), None).await.unwrap());
    assert_eq!(place.songs().await.markers(one).await.unwrap(), [kept, Marker { at_ms: 4, ..changed }]);
}

pub async fn removed_marker_and_markers_of_removed_song_are_gone(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    let gone = stored(&songs, one, marker(1, "gone")).await;
    let kept = stored(&songs, one, marker(2, "kept")).await;
    let foreign = stored(&songs, other, marker(3, "foreign")).await;
    assert!(!songs.remove_marker(other, gone.id).await.unwrap(), "a marker of another song");
    assert!(songs.remove_marker(one, gone.id).await.unwrap());
    assert!(!songs.remove_marker(one, gone.id).await.unwrap(), "a repeat");
    assert_eq!(songs.markers(one).await.unwrap(), [kept]);
    songs.remove(one).await.unwrap();
    assert_eq!(songs.markers(one).await.unwrap(), []);
    assert_eq!(place.songs().await.markers(other).await.unwrap(), [foreign], "the same bytes, but another song");
}
