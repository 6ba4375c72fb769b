//! `HEAD` requests.

use reqwest::Method;

use super::support::{Answer, Browser, Service, archive, id, song};

async fn head(browser: &Browser, path: &str) -> Answer {
    Browser::send(browser.request(Method::HEAD, path)).await
}

#[tokio::test]
async fn head_creates_no_files() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("My song", &song(1)).await;
    client.result(&uploaded, archive()).await.data();
    let before = service.stored(5).await;
    let path = |name: &str| format!("/songs/{}/{name}", id(&uploaded));
    for (name, media_type) in [
        ("song.wav", "audio/wav"),
        ("vocals.flac", "audio/flac"),
        ("accompaniment.mp3", "audio/mpeg"),
        ("mix.mp3", "audio/mpeg"),
        ("stems.zip?format=wav", "application/zip"),
        ("stems.tar", "application/x-tar"),
        ("peaks/vocals", "application/json"),
    ] {
        let answer = head(&client, &path(name)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{name}: {answer:?}");
        // Length and tag are unknown before the file is made.
        assert_eq!((answer.header("content-length"), answer.header("etag")), ("", ""), "{name}: {answer:?}");
    }
    assert_eq!(service.stored_files(), before, "a HEAD request created a file");

    for name in ["song.wav", "vocals.flac", "accompaniment.mp3", "peaks/vocals"] {
        let whole = client.get(&path(name)).await;
        let answer = head(&client, &path(name)).await;
        assert_eq!(answer.header("content-length"), whole.bytes.len().to_string(), "{name}");
        assert_eq!(answer.header("etag"), whole.header("etag"), "{name}");
        assert_eq!(answer.header("content-disposition"), whole.header("content-disposition"), "{name}");
    }
}

#[tokio::test]
async fn head_status_matches_get() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    let path = |name: &str| format!("/songs/{}/{name}", id(&waiting));
    for name in ["vocals.flac", "mix.mp3", "stems.zip", "peaks/vocals"] {
        assert_eq!(head(&client, &path(name)).await.status, 409, "{name}");
    }
    client.result(&waiting, archive()).await.data();
    let silent = path("mix.mp3?vocals=0&drums=0&bass=0&other=0");
    for (name, status) in [
        (silent.as_str(), 422),
        (&path("stems.zip?format=ogg"), 422),
        (&path("guitar.mp3"), 404),
        (&path("vocals.ogg"), 404),
        ("/songs/00000000-0000-4000-8000-000000000000/vocals.flac", 404),
    ] {
        assert_eq!(head(&client, name).await.status, status, "{name}");
        assert_eq!(client.get(name).await.status, status, "{name}");
    }
}
