//! Splitting: deduplication, retries, failure, cancellation and shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use vocalizer_core::worker::WorkerSettings;

use super::support::{Browser, Service, Settings, fast_worker, id, song};

async fn post(browser: &Browser, path: String) -> super::support::Answer {
    Browser::send(browser.request(Method::POST, &path)).await
}

#[tokio::test]
async fn identical_uploads_are_stored_and_split_once() {
    let service = Service::start().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("hers", &song(1)).await;
    ada.until(&hers, "SPLIT").await;
    let files = service.stored(5).await.len();
    let his = bob.upload("his", &song(1)).await;
    assert_eq!((&his["status"], &his["hash"]), (&Value::from("SPLIT"), &hers["hash"]), "the stems exist already");
    assert_ne!(his["id"], hers["id"]);
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 1);
    service.stored(files).await;
    assert_eq!(bob.get("/songs/").await.data()["songs"].as_array().unwrap().len(), 1);

    ada.delete(&format!("/songs/{}", id(&hers))).await.data();
    assert_eq!(
        bob.get(&format!("/songs/{}/vocals.mp3", id(&his))).await.status,
        200,
        "deleting one song keeps the other's stems"
    );
    bob.delete(&format!("/songs/{}", id(&his))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn upload_joins_split_in_progress() {
    let service = Service::start().await;
    service.separator.takes_ms.store(1000, Ordering::SeqCst);
    let client = Browser::new(&service);
    let first = client.upload("first", &song(1)).await;
    client.until(&first, "SPLITTING").await;
    let second = client.upload("second", &song(1)).await;
    assert_eq!(second["status"], "SPLITTING");
    client.until(&second, "SPLIT").await;
    client.until(&first, "SPLIT").await;
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn transient_failure_is_retried() {
    let service = Service::start().await;
    service.separator.failures.store(2, Ordering::SeqCst);
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    client.until(&uploaded, "SPLIT").await;
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn exhausted_attempts_fail_song_and_owner_can_retry() {
    let service = Service::start().await;
    service.separator.failures.store(3, Ordering::SeqCst);
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let uploaded = ada.upload("x", &song(1)).await;
    let failed = ada.until(&uploaded, "FAILED").await;
    let reason = failed["failure_reason"].as_str().unwrap();
    assert!(reason.contains("3 times"), "{reason}");
    let message = ada.get(&format!("/songs/{}/vocals.mp3", id(&failed))).await.refused(409, "conflict");
    assert!(message.contains(reason), "{message}");
    let metrics = String::from_utf8(ada.get("/metrics").await.bytes.to_vec()).unwrap();
    assert!(metrics.contains("vocalizer_jobs{state=\"dead\"} 1"), "{metrics}");

    let retry = format!("/songs/{}/retry", id(&failed));
    post(&bob, retry.clone()).await.refused(404, "not_found");
    let retried = post(&ada, retry.clone()).await.data()["song"].clone();
    assert_eq!(retried["failure_reason"], Value::Null);
    ada.until(&failed, "SPLIT").await;
    post(&ada, retry).await.refused(409, "conflict");
}

#[tokio::test]
async fn deleting_song_in_progress_cancels_split() {
    let service = Service::start().await;
    service.separator.takes_ms.store(600_000, Ordering::SeqCst);
    let client = Browser::new(&service);
    let deleted = client.upload("x", &song(1)).await;
    client.until(&deleted, "SPLITTING").await;
    client.delete(&format!("/songs/{}", id(&deleted))).await.data();
    for _ in 0..500 {
        if service.separator.cancelled.load(Ordering::SeqCst) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(service.separator.cancelled.load(Ordering::SeqCst), 1);
    service.separator.takes_ms.store(0, Ordering::SeqCst);
    let next = client.upload("y", &song(2)).await;
    client.until(&next, "SPLIT").await;
    let source = |hash: &Value| {
        service.stored_files().iter().any(|file| file.to_string_lossy().contains(hash.as_str().unwrap()))
    };
    assert!(source(&next["hash"]) && !source(&deleted["hash"]));
}

#[tokio::test]
async fn shutdown_requeues_song_at_no_attempt() {
    let once = WorkerSettings { max_attempts: 1, ..fast_worker() };
    let service = Service::with(Settings { worker: once, ..Settings::default() }).await;
    service.separator.takes_ms.store(600_000, Ordering::SeqCst);
    let client = Browser::new(&service);
    let splitting = client.upload("x", &song(1)).await;
    client.until(&splitting, "SPLITTING").await;
    let dir = service.stop().await;
    let service = Service::over(dir, Settings { worker: once, ..Settings::default() }).await;
    Browser::new(&service).until(&splitting, "SPLIT").await;
}

#[tokio::test]
async fn workers_share_queue() {
    let service = Service::with(Settings { workers: 3, ..Settings::default() }).await;
    service.separator.takes_ms.store(50, Ordering::SeqCst);
    let client = Browser::new(&service);
    let mut songs = Vec::new();
    for number in 0..12 {
        songs.push(client.upload("x", &song(number)).await);
    }
    for song in &songs {
        client.until(song, "SPLIT").await;
    }
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 12);
}

#[tokio::test]
async fn sweep_removes_orphans_and_keeps_other_blobs() {
    let service = Service::start().await;
    let client = Browser::new(&service);
    let kept = client.upload("x", &song(1)).await;
    client.until(&kept, "SPLIT").await;
    let before = service.stored(5).await;
    service.orphan(&"ab".repeat(32), Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 1);
    assert_eq!(service.stored(5).await, before);
    assert_eq!(service.songs.sweep().await.unwrap(), Default::default(), "the second sweep finds nothing");
}
