//! Song ownership and deletion.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderName, IF_NONE_MATCH, RANGE};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::support::{Browser, Service, archive, id, song};

const PARTS: [&str; 6] = ["song", "drums", "bass", "other", "vocals", "accompaniment"];

/// Asserts that every endpoint and file of a song returns 404 for this client.
async fn assert_not_found(browser: &Browser, name: &str) {
    let path = format!("/songs/{name}");
    let ask = |method: Method, path: String| Browser::send(browser.request(method, &path).form(&[("title", "mine")]));
    ask(Method::GET, path.clone()).await.refused(404, "not_found");
    ask(Method::PATCH, path.clone()).await.refused(404, "not_found");
    ask(Method::DELETE, path.clone()).await.refused(404, "not_found");
    ask(Method::POST, format!("{path}/retry")).await.refused(404, "not_found");
    for file in ["events", "stems.zip", "stems.tar", "stems.tar?format=flac"] {
        ask(Method::GET, format!("{path}/{file}")).await.refused(404, "not_found");
    }
    for part in PARTS {
        for extension in ["mp3", "wav", "flac"] {
            ask(Method::GET, format!("{path}/{part}.{extension}")).await.refused(404, "not_found");
        }
        let file = format!("{path}/{part}.mp3");
        let head = browser.request(Method::HEAD, &file);
        assert_eq!(Browser::send(head).await.status, 404);
        // Conditional and range requests do not reveal that the song exists.
        for (header, value) in [(IF_NONE_MATCH, "*"), (RANGE, "bytes=0-0"), (RANGE, "bytes=99999999-")] {
            let request = browser.request(Method::GET, &file).header::<HeaderName, _>(header, value);
            Browser::send(request).await.refused(404, "not_found");
        }
    }
}

#[tokio::test]
async fn private_song_is_404_for_others() {
    let service = Service::start().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    let hers = ada.until(&hers, "SPLIT").await;
    for other in [&bob, &Browser::new(&service)] {
        assert_not_found(other, id(&hers)).await;
        assert_eq!(other.get("/songs/").await.data()["songs"], json!([]));
    }
    // The response equals that for a song that never existed.
    let (path, none) = (format!("/songs/{}", id(&hers)), "/songs/4a4c8e7e-8d2f-4a3c-9d3f-0a1b2c3d4e5f");
    assert_eq!(bob.get(&path).await.bytes, bob.get(none).await.bytes);
    assert_eq!(ada.get(&path).await.data()["song"], hers, "unchanged");
    for part in PARTS {
        assert_eq!(ada.get(&format!("{path}/{part}.mp3")).await.status, 200, "{part}");
    }
}

#[tokio::test]
async fn song_hash_grants_no_access() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    let hash = hers["hash"].as_str().unwrap();
    ada.result(&hers, archive()).await.data();
    for caller in [&ada, &bob, &Browser::new(&service)] {
        assert_not_found(caller, hash).await;
        let result = format!("/songs/{hash}/upload_result");
        let post = caller.request(Method::POST, &result).body(archive());
        Browser::send(post).await.refused(401, "unauthenticated");
    }
    assert_eq!(ada.get(&format!("/songs/{}", id(&hers))).await.data()["song"]["status"], "SPLIT");
}

#[tokio::test]
async fn identical_uploads_are_independent_songs() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    let his = bob.upload("his", &song(1)).await;
    assert_eq!(hers["hash"], his["hash"]);
    assert_ne!(hers["id"], his["id"]);
    // Both songs share one file.
    service.stored(1).await;
    assert_not_found(&bob, id(&hers)).await;
    bob.delete(&format!("/songs/{}", id(&his))).await.data();
    assert_eq!(ada.get(&format!("/songs/{}/song.mp3", id(&hers))).await.bytes, song(1));
    ada.delete(&format!("/songs/{}", id(&hers))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn concurrent_deletes_succeed_once() {
    let service = Service::start().await;
    let ada = Browser::registered(&service, "ada").await;
    for number in 0..5 {
        let hers = ada.upload("hers", &song(number)).await;
        if number % 2 == 0 {
            ada.until(&hers, "SPLIT").await;
        }
        let path = format!("/songs/{}", id(&hers));
        let (a, b, c) = tokio::join!(ada.delete(&path), ada.delete(&path), ada.delete(&path));
        let mut all = [a, b, c];
        all.sort_by_key(|answer| answer.status);
        assert_eq!(all[0].data(), Value::Null);
        all[1].refused(404, "not_found");
        all[2].refused(404, "not_found");
    }
    assert_eq!(ada.get("/songs/").await.data()["songs"], json!([]));
    service.stored(0).await;
}

#[tokio::test]
async fn owners_of_same_hash_can_delete_concurrently() {
    let service = Service::start().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    for number in 0..5 {
        let (hers, his) = (ada.upload("hers", &song(number)).await, bob.upload("his", &song(number)).await);
        let (hers, his) = (format!("/songs/{}", id(&hers)), format!("/songs/{}", id(&his)));
        let (a, b) = tokio::join!(ada.delete(&hers), bob.delete(&his));
        assert_eq!((a.data(), b.data()), (Value::Null, Value::Null));
    }
    service.stored(0).await;
}

#[tokio::test]
async fn deleting_song_cancels_split_and_frees_worker() {
    let service = Service::start().await;
    service.separator.takes_ms.store(60_000, Ordering::SeqCst);
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    let path = format!("/songs/{}", id(&hers));
    ada.until(&hers, "SPLITTING").await;
    bob.delete(&path).await.refused(404, "not_found");
    assert_eq!(ada.get(&path).await.data()["song"]["status"], "SPLITTING", "other users cannot stop the split");

    ada.delete(&path).await.data();
    ada.get(&path).await.refused(404, "not_found");
    ada.delete(&path).await.refused(404, "not_found");
    for _ in 0..1000 {
        if service.separator.cancelled.load(Ordering::SeqCst) == 1 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(service.separator.cancelled.load(Ordering::SeqCst), 1);
    ada.result(&hers, archive()).await.refused(410, "gone");
    service.stored(0).await;

    // The worker takes the next job, and the same bytes can be uploaded again.
    service.separator.takes_ms.store(0, Ordering::SeqCst);
    let again = ada.upload("again", &song(1)).await;
    ada.until(&again, "SPLIT").await;
}

#[tokio::test]
async fn split_continues_while_another_owner_remains() {
    let service = Service::start().await;
    service.separator.takes_ms.store(1000, Ordering::SeqCst);
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    let his = bob.upload("his", &song(1)).await;
    ada.until(&hers, "SPLITTING").await;
    ada.delete(&format!("/songs/{}", id(&hers))).await.data();
    bob.until(&his, "SPLIT").await;
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 1, "split once for both owners");
    assert_eq!(service.separator.cancelled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn anyone_can_delete_anonymous_song() {
    let service = Service::idle().await;
    let bob = Browser::registered(&service, "bob").await;
    let open = Browser::new(&service).upload("open", &song(1)).await;
    bob.delete(&format!("/songs/{}", id(&open))).await.data();
    assert_not_found(&Browser::new(&service), id(&open)).await;
    service.stored(0).await;
}
