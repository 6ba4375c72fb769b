#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use super::place::SongsPlace;
use crate::support::{at_us, hash};
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{LibraryQuery, SongRepository, SortKey, Whose};
use vocalizer_core::song::{Song, SongFacts, SongId, StatusKind, Title, words};

/// Every order with its direction.
pub(super) const ORDERS: [(SortKey, bool); 8] = [
    (SortKey::Added, true),
    (SortKey::Added, false),
    (SortKey::Title, false),
    (SortKey::Title, true),
    (SortKey::Artist, false),
    (SortKey::Artist, true),
    (SortKey::Duration, false),
    (SortKey::Duration, true),
];

pub(super) fn query(viewer: Viewer, sort: SortKey, descending: bool) -> LibraryQuery {
    let (whose, words) = (Whose::All, Vec::new());
    LibraryQuery { viewer, whose, status: None, words, label: None, sort, descending, after: None, limit: 100 }
}

/// Admits a song with these facts; its title is its content.
pub(super) async fn admit(
    songs: &Arc<dyn SongRepository>,
    owner: Option<UserId>,
    title: &str,
    artist: Option<&str>,
    duration_ms: Option<u64>,
    at: i64,
) -> Song {
    let parsed = Title::parse(title, usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), parsed, hash(title), owner, at_us(at));
    song.finish_upload().unwrap();
    let artist = artist.map(str::to_owned);
    let song = song.with_facts(SongFacts { artist, duration_ms, has_cover: duration_ms.map(|ms| ms > 2) });
    songs.admit(&song).await.unwrap()
}

pub(super) async fn listed(songs: &Arc<dyn SongRepository>, query: &LibraryQuery) -> Vec<String> {
    let listed = songs.list_sorted(query).await.unwrap();
    let titles: Vec<_> = listed.iter().map(|(song, _)| song.title().to_string()).collect();
    if query.after.is_none() && listed.len() < query.limit as usize {
        assert_eq!(songs.count_listed(query).await.unwrap(), titles.len() as u64, "{query:?}");
    }
    titles
}

pub async fn facts_of_a_song_are_stored_unchanged(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (title, artist, duration_ms) in
        [("a", None, None), ("b", Some("Édith „Piaf“ 🎵"), Some(0)), ("c", Some("x"), Some(u64::from(u32::MAX)))]
    {
        let song = admit(&songs, None, title, artist, duration_ms, 0).await;
        assert_eq!(song.facts().artist.as_deref(), artist);
        assert_eq!(song.facts().duration_ms, duration_ms);
        assert_eq!(place.songs().await.find(song.id()).await.unwrap(), Some(song), "after a restart");
    }
}

pub async fn songs_are_sorted_by_each_key(place: &impl SongsPlace) {
    let (songs, ada) = (place.songs().await, place.user().await);
    admit(&songs, Some(ada), "Éclair", Some("zz Top"), Some(3), 2).await;
    admit(&songs, None, "Ёлка", None, None, 4).await;
    admit(&songs, Some(ada), "apfel", Some("ABBA"), Some(1), 3).await;
    admit(&songs, None, "Zebra", Some("abba"), Some(2), 1).await;
    let expected = [
        (SortKey::Added, ["Zebra", "Éclair", "apfel", "Ёлка"]),
        (SortKey::Title, ["apfel", "Éclair", "Zebra", "Ёлка"]),
        (SortKey::Artist, ["Ёлка", "apfel", "Zebra", "Éclair"]),
        (SortKey::Duration, ["Ёлка", "apfel", "Zebra", "Éclair"]),
    ];
    for (sort, mut titles) in expected {
        assert_eq!(listed(&songs, &query(Viewer::User(ada), sort, false)).await, titles, "{sort:?}");
        titles.reverse();
        assert_eq!(listed(&songs, &query(Viewer::User(ada), sort, true)).await, titles, "{sort:?} reversed");
    }
    assert_eq!(listed(&songs, &query(Viewer::Anonymous, SortKey::Title, false)).await, ["Zebra", "Ёлка"]);
    let whose = |whose| LibraryQuery { whose, ..query(Viewer::User(ada), SortKey::Title, false) };
    assert_eq!(listed(&songs, &whose(Whose::Mine)).await, ["apfel", "Éclair"]);
    assert_eq!(listed(&songs, &whose(Whose::Open)).await, ["Zebra", "Ёлка"]);
    let mine = LibraryQuery { whose: Whose::Mine, ..query(Viewer::Anonymous, SortKey::Title, false) };
    assert_eq!(listed(&songs, &mine).await, [""; 0]);
}

pub async fn sorted_pages_are_contiguous(place: &impl SongsPlace) {
    let (songs, ada, ben) = (place.songs().await, place.user().await, place.user().await);
    for number in 0..23_i64 {
        let owner = [None, Some(ada), Some(ben)][usize::try_from(number % 3).unwrap()];
        // Equal values, which identifiers order.
        let artist = ["Ä", "a", "b"][usize::try_from(number % 3).unwrap()];
        let duration_ms = (number % 4 > 0).then_some((number % 4).unsigned_abs());
        let title = format!("{}{}", ["x", "X"][usize::try_from(number % 2).unwrap()], number / 8);
        let parsed = Title::parse(&title, usize::MAX).unwrap();
        let content = hash(&number.to_string());
        let mut song = Song::begin(SongId::random(), parsed, content, owner, at_us(number / 5));
        song.finish_upload().unwrap();
        let facts = SongFacts { artist: Some(artist.to_owned()), duration_ms, has_cover: None };
        songs.admit(&song.with_facts(facts)).await.unwrap();
    }
    for (sort, descending) in ORDERS {
        let mut query = query(Viewer::User(ada), sort, descending);
        let whole = songs.list_sorted(&query).await.unwrap();
        assert_eq!(whole.len(), 16);
        query.limit = 3;
        let mut seen = Vec::new();
        loop {
            let page = songs.list_sorted(&query).await.unwrap();
            let Some((_, last)) = page.last() else { break };
            query.after = Some(last.clone());
            seen.extend(page);
        }
        assert_eq!(seen, whole, "{sort:?} {descending}");
    }
}

pub async fn place_outlives_its_song(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (at, title) in ["a", "b", "c", "d"].into_iter().enumerate() {
        admit(&songs, None, title, Some(title), Some(at as u64), i64::try_from(at).unwrap()).await;
    }
    for (sort, descending) in ORDERS {
        let query = LibraryQuery { limit: 2, ..query(Viewer::Anonymous, sort, descending) };
        let page = songs.list_sorted(&query).await.unwrap();
        let (song, after) = page.last().unwrap();
        songs.trash(song.id(), at_us(0)).await.unwrap();
        let rest = listed(&songs, &LibraryQuery { after: Some(after.clone()), ..query }).await;
        let expected = if descending { ["b", "a"] } else { ["c", "d"] };
        assert_eq!(rest, expected, "{sort:?}");
        songs.restore(song.id()).await.unwrap();
    }
}

pub async fn search_ignores_case_and_accents(place: &impl SongsPlace) {
    let (songs, ada) = (place.songs().await, place.user().await);
    admit(&songs, None, "Für Elise", Some("Ludwig van Beethoven"), None, 1).await;
    admit(&songs, Some(ada), "Щёлкни пальцами", Some("Ансамбль «Ёж»"), None, 2).await;
    admit(&songs, None, "100 % _real_ straße", None, None, 3).await;
    admit(&songs, Some(ada), "Beethoven's nephew", None, None, 4).await;
    let found = |text: &str| LibraryQuery { words: words(text), ..query(Viewer::User(ada), SortKey::Added, false) };
    for (text, expected) in [
        ("elise", vec!["Für Elise"]),
        ("FUR", vec!["Für Elise"]),
        ("beethoven", vec!["Für Elise", "Beethoven's nephew"]),
        ("beethoven élise", vec!["Für Elise"]),
        ("щелкни", vec!["Щёлкни пальцами"]),
        ("ЁЖ", vec!["Щёлкни пальцами"]),
        ("STRASSE", vec!["100 % _real_ straße"]),
        ("%", vec!["100 % _real_ straße"]),
        ("_", vec!["100 % _real_ straße"]),
        ("'", vec!["Beethoven's nephew"]),
        ("nothing", vec![]),
        ("elise nothing", vec![]),
    ] {
        assert_eq!(listed(&songs, &found(text)).await, expected, "{text}");
    }
    assert_eq!(listed(&songs, &LibraryQuery { viewer: Viewer::Anonymous, ..found("щелкни") }).await, [""; 0]);
}

pub async fn renamed_song_is_found_by_its_new_title(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit(&songs, None, "old", Some("Ärzte"), None, 0).await;
    songs.rename(song.id(), &Title::parse("Neü", usize::MAX).unwrap()).await.unwrap();
    let found = |text: &str| LibraryQuery { words: words(text), ..query(Viewer::Anonymous, SortKey::Title, false) };
    assert_eq!(listed(&songs, &found("old")).await, [""; 0]);
    assert_eq!(listed(&songs, &found("neu arzte")).await, ["Neü"]);
}

pub async fn sorted_list_filters_by_status(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for (at, title) in ["a", "b", "c"].into_iter().enumerate() {
        admit(&songs, None, title, None, None, i64::try_from(at).unwrap()).await;
    }
    songs.advance(&hash("b"), &Advance::FINISH_MP3).await.unwrap();
    for (sort, descending) in ORDERS {
        let query = query(Viewer::Anonymous, sort, descending);
        let split = LibraryQuery { status: Some(StatusKind::Split), ..query.clone() };
        assert_eq!(listed(&songs, &split).await, ["b"]);
        let waiting = LibraryQuery { status: Some(StatusKind::Uploaded), ..query };
        assert_eq!(listed(&songs, &waiting).await.len(), 2);
    }
    assert_eq!(songs.add_sort_keys(9).await.unwrap(), 0, "new songs have their keys");
}
