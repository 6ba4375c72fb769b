use std::pin::pin;

use futures_util::TryStreamExt as _;
use vocalizer_client::{Error, SongQuery, SongStatus, Upload};

use super::{backend, canned};

#[tokio::test]
async fn pages_contain_every_song_once() {
    let (_, client) = backend::start().await;
    for title in ["1", "2", "3", "4", "5"] {
        client.upload(Upload::from_bytes(title, "x.mp3", title)).await.unwrap();
    }
    let (mut next, mut pages) = (Some(SongQuery::new().with_limit(2)), Vec::new());
    while let Some(query) = next {
        let page = client.songs_page(&query).await.unwrap();
        pages.push(page.songs.into_iter().map(|song| song.title).collect::<String>());
        next = page.next;
    }
    assert_eq!(pages, ["12", "34", "5"]);
}

/// The server limits the page size.
#[tokio::test]
async fn songs_reads_all_pages() {
    let (backend, client) = backend::start().await;
    for title in ["1", "2", "3", "4", "5"] {
        client.upload(Upload::from_bytes(title, "x.mp3", title)).await.unwrap();
    }
    backend.lock().unwrap().max_page = Some(2);
    let titles: String = client.songs().await.unwrap().into_iter().map(|song| song.title).collect();
    assert_eq!(titles, "12345");
    let (mut pages, mut seen) = (pin!(client.song_pages(SongQuery::new())), Vec::new());
    while let Some(songs) = pages.try_next().await.unwrap() {
        seen.push(songs.into_iter().map(|song| song.title).collect::<String>());
    }
    assert_eq!(seen, ["12", "34", "5"]);
}

/// A stream of pages ends with the first error.
#[tokio::test]
async fn page_stream_ends_with_error() {
    let (backend, client) = backend::start().await;
    backend.lock().unwrap().outages = 99;
    let mut pages = pin!(client.song_pages(SongQuery::new()));
    assert!(matches!(pages.try_next().await, Err(Error::Api { status: 503, .. })));
    assert!(pages.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn filter_applies_to_every_page() {
    let (backend, client) = backend::start().await;
    for title in ["1", "2", "3", "4", "5"] {
        client.upload(Upload::from_bytes(title, "x.mp3", title)).await.unwrap();
    }
    for index in [0, 2, 4] {
        backend.lock().unwrap().songs[index].view.status = SongStatus::Failed;
    }
    let query = SongQuery::new().with_status(SongStatus::Failed).with_limit(2);
    let first = client.songs_page(&query).await.unwrap();
    let second = client.songs_page(&first.next.unwrap()).await.unwrap();
    let titles: Vec<_> = first.songs.into_iter().chain(second.songs).map(|song| song.title).collect();
    assert_eq!((titles.concat().as_str(), second.next), ("135", None));
    assert_eq!(client.songs_page(&SongQuery::new()).await.unwrap().songs.len(), 5);
}

/// Prevents an endless loop over pages.
#[tokio::test]
async fn repeated_cursor_is_malformed() {
    let body = r#"{"ok":true,"errors":[],"data":{"songs":[],"next":"again"}}"#;
    let server = canned::server(canned::answer("200 OK", "application/json", body), b"").await;
    let client = backend::client(&server);
    let first = client.songs_page(&SongQuery::new()).await.unwrap();
    let error = client.songs_page(&first.next.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { status: 200, .. }), "{error:?}");
}
