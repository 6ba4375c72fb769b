#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{LabelCount, LibraryQuery, RepositoryError, SongRepository, SortKey};
use vocalizer_core::song::{Label, LabelChange, Song, SongId, words};

use super::place::SongsPlace;
use super::sorting::{ORDERS, admit, listed, query};
use crate::support::at_us;

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn count(text: &str, songs: u64) -> LabelCount {
    LabelCount { label: label(text), songs }
}

async fn add(songs: &Arc<dyn SongRepository>, id: SongId, text: &str) -> Song {
    songs.relabel(id, &LabelChange::Add(label(text))).await.unwrap().unwrap()
}

pub async fn labels_are_stored_as_written_and_ignore_case(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let id = admit(&songs, None, "a", None, None, 0).await.id();
    for text in ["Живой „концерт“ 🎵", "live", "Bass practice", "LIVE", "ЖИВОЙ „КОНЦЕРТ“ 🎵"]
    {
        add(&songs, id, text).await;
    }
    let stored = place.songs().await.find(id).await.unwrap().unwrap();
    assert_eq!(stored.labels(), [label("Bass practice"), label("live"), label("Живой „концерт“ 🎵")]);
    let removed = songs.relabel(id, &LabelChange::Remove(label("Live"))).await.unwrap().unwrap();
    assert_eq!(removed.labels(), [label("Bass practice"), label("Живой „концерт“ 🎵")]);
    let repeated = songs.relabel(id, &LabelChange::Remove(label("live"))).await.unwrap().unwrap();
    assert_eq!(place.songs().await.find(id).await.unwrap(), Some(repeated));
    assert_eq!(songs.relabel(SongId::random(), &LabelChange::Add(label("x"))).await.unwrap(), None);
}

pub async fn labels_of_a_song_are_limited(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let id = admit(&one, None, "a", None, None, 0).await.id();
    // Labels of the greatest length in bytes.
    let labels: Vec<_> = (0..Label::MOST + 5).map(|n| label(&format!("{n}{}", "🎵".repeat(38)))).collect();
    let added = labels.iter().enumerate().map(|(at, label)| {
        let (songs, change) = (if at % 2 == 0 { &one } else { &other }, LabelChange::Add(label.clone()));
        async move { songs.relabel(id, &change).await }
    });
    let added = join_all(added).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), Label::MOST);
    assert!(added.iter().all(|added| matches!(added, Ok(Some(_)) | Err(RepositoryError::Conflict))));
    let song = one.find(id).await.unwrap().unwrap();
    assert_eq!(song.labels().len(), Label::MOST);
    assert_eq!(one.labels(Viewer::Anonymous).await.unwrap().len(), Label::MOST);
    // One that it has is no further one.
    add(&one, id, song.labels()[0].as_str()).await;
    one.relabel(id, &LabelChange::Remove(song.labels()[0].clone())).await.unwrap();
    add(&one, id, "one more").await;
}

pub async fn labels_are_counted_by_viewer(place: &impl SongsPlace) {
    let (songs, ada, ben) = (place.songs().await, place.user().await, place.user().await);
    for (title, owner, texts) in [
        ("a", Some(ada), &["Live", "b"][..]),
        ("b", Some(ada), &["LIVE"]),
        ("c", None, &["live", "Open"]),
        ("d", Some(ben), &["live", "His"]),
        ("e", Some(ada), &[]),
    ] {
        let id = admit(&songs, owner, title, None, None, 0).await.id();
        for text in texts {
            add(&songs, id, text).await;
        }
    }
    let seen = songs.labels(Viewer::User(ada)).await.unwrap();
    assert_eq!(seen, [count("b", 1), count("LIVE", 3), count("Open", 1)]);
    assert_eq!(songs.labels(Viewer::Anonymous).await.unwrap(), [count("live", 1), count("Open", 1)]);
}

pub async fn sorted_list_filters_by_label(place: &impl SongsPlace) {
    let (songs, ada, ben) = (place.songs().await, place.user().await, place.user().await);
    for (at, (title, owner, texts)) in [
        ("a", Some(ada), &["Live"][..]),
        ("b", None, &["live", "other"]),
        ("c", Some(ada), &["other"]),
        ("d", Some(ben), &["Live"]),
        ("e x", Some(ada), &["LIVE", "other"]),
        ("f", Some(ada), &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let id = admit(&songs, owner, title, Some(title), Some(at as u64), i64::try_from(at).unwrap()).await.id();
        for text in texts {
            add(&songs, id, text).await;
        }
    }
    for (sort, descending) in ORDERS {
        let found = LibraryQuery { label: Some(label("lIvE")), ..query(Viewer::User(ada), sort, descending) };
        let expected = if descending { ["e x", "b", "a"] } else { ["a", "b", "e x"] };
        assert_eq!(listed(&songs, &found).await, expected, "{sort:?}");
        let page = songs.list_sorted(&LibraryQuery { limit: 1, ..found.clone() }).await.unwrap();
        let after = page.last().map(|(_, place)| place.clone());
        assert_eq!(listed(&songs, &LibraryQuery { after, ..found.clone() }).await, expected[1..], "{sort:?}");
        let worded = LibraryQuery { words: words("X"), ..found.clone() };
        assert_eq!(listed(&songs, &worded).await, ["e x"]);
        let absent = LibraryQuery { label: Some(label("Liv")), ..found };
        assert_eq!(listed(&songs, &absent).await, [""; 0]);
    }
}

pub async fn song_in_the_trash_keeps_its_labels(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let id = admit(&songs, None, "a", None, None, 0).await.id();
    let labelled = add(&songs, id, "Live").await;
    songs.trash(id, at_us(0)).await.unwrap();
    let with_label = LibraryQuery { label: Some(label("live")), ..query(Viewer::Anonymous, SortKey::Added, true) };
    assert_eq!(listed(&songs, &with_label).await, [""; 0]);
    assert_eq!(songs.labels(Viewer::Anonymous).await.unwrap(), []);
    assert_eq!(songs.relabel(id, &LabelChange::Add(label("x"))).await.unwrap(), None);
    songs.restore(id).await.unwrap();
    assert_eq!(songs.find(id).await.unwrap().unwrap().labels(), labelled.labels());
    assert_eq!(listed(&songs, &with_label).await, ["a"]);
    songs.remove(id).await.unwrap();
    assert_eq!(songs.labels(Viewer::Anonymous).await.unwrap(), []);
    // The same bytes again have no labels.
    assert_eq!(admit(&songs, None, "a", None, None, 0).await.labels(), []);
}
