//! Splitting over HTTP, with restarts, wrong tokens and lost connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use vocalizer_core::account::Viewer;
use vocalizer_core::worker::WorkerSettings;

use super::place::{Relay, RemoteWorker, SmallService, until, upload};
use crate::support::{Browser, Service, Settings, WORKER_TOKEN, fast_worker, id, song, stems};

/// Long enough for a test to act during the split; the test then shortens it.
const LONG_MS: u32 = 600_000;

/// Only one attempt: whatever costs an attempt fails the song.
fn once() -> WorkerSettings {
    WorkerSettings { max_attempts: 1, ..fast_worker() }
}

fn settings(token: &str) -> Settings {
    Settings { workers: 0, worker_tokens: vec![token.to_owned()], ..Settings::default() }
}

async fn now(browser: &Browser, song: &Value) -> Value {
    browser.get(&format!("/songs/{}", id(song))).await.data()["song"].clone()
}

#[tokio::test]
async fn remote_worker_splits_song_and_reports_progress() {
    let service = Service::idle().await;
    let worker = RemoteWorker::start(service.address, once());
    worker.separator.takes_ms.store(2000, Ordering::SeqCst);
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("x", &song(1)).await;
    until("progress is reported", || async { now(&ada, &uploaded).await["progress"].as_u64() >= Some(10) }).await;
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    ada.until(&uploaded, "SPLIT").await;
    let vocals = ada.get(&format!("/songs/{}/vocals.mp3", id(&uploaded))).await;
    assert_eq!((vocals.status, vocals.bytes), (200, stems().vocals));
    until("the worker is done", || async { worker.counts.done() == 1 }).await;
    assert_eq!((worker.counts.failed(), worker.counts.retried()), (0, 0));
}

#[tokio::test]
async fn failed_song_reports_reason_from_worker() {
    let service = Service::idle().await;
    let worker = RemoteWorker::start(service.address, WorkerSettings { max_attempts: 2, ..fast_worker() });
    worker.separator.failures.store(2, Ordering::SeqCst);
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    let failed = client.until(&uploaded, "FAILED").await;
    let reason = failed["failure_reason"].as_str().unwrap();
    assert!(reason.contains("tried 2 times"), "{reason}");
    assert_eq!(worker.separator.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn deleting_song_cancels_remote_work() {
    let service = Service::idle().await;
    let worker = RemoteWorker::start(service.address, once());
    worker.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let client = Browser::new(&service);
    let doomed = client.upload("x", &song(1)).await;
    until("the split has started", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    client.delete(&format!("/songs/{}", id(&doomed))).await.data();
    until("the split is cancelled", || async { worker.separator.cancelled.load(Ordering::SeqCst) == 1 }).await;
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    let next = client.upload("y", &song(2)).await;
    client.until(&next, "SPLIT").await;
}

#[tokio::test]
async fn cancelling_song_stops_remote_work() {
    let service = Service::idle().await;
    let worker = RemoteWorker::start(service.address, once());
    worker.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let client = Browser::new(&service);
    let running = client.upload("x", &song(1)).await;
    until("the split has started", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    client.post(&format!("/songs/{}/cancel", id(&running)), &[]).await.data();
    until("the split is cancelled", || async { worker.separator.cancelled.load(Ordering::SeqCst) == 1 }).await;
    assert_eq!(now(&client, &running).await["failure_reason"], "cancelled by the user");
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    client.post(&format!("/songs/{}/retry", id(&running)), &[]).await.data();
    client.until(&running, "SPLIT").await;
    assert_eq!((worker.counts.failed(), worker.counts.retried()), (0, 0));
}

#[tokio::test]
async fn lease_survives_server_restart_and_song_is_split_once() {
    let service = Service::with(settings(WORKER_TOKEN)).await;
    let relay = Relay::start(service.address).await;
    let worker = RemoteWorker::start(relay.address, once());
    worker.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    until("the split has started", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    let dir = service.stop().await;
    relay.forward_to(None);
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    let depth = service.songs.queue().depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased), (0, Some(1)), "the restart lost the lease");
    relay.forward_to(Some(service.address));
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    Browser::new(&service).until(&uploaded, "SPLIT").await;
    // The first worker settled it, and the job was not leased again.
    until("the queue is empty", || async {
        let depth = service.songs.queue().depth().await.unwrap();
        (depth.waiting, depth.leased) == (0, Some(0))
    })
    .await;
    assert_eq!((worker.separator.begun.load(Ordering::SeqCst), worker.counts.done()), (1, 1));
}

#[tokio::test]
async fn corrected_token_costs_no_attempts() {
    let service = Service::with(settings("another")).await;
    let relay = Relay::start(service.address).await;
    let worker = RemoteWorker::start(relay.address, once());
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    // Wait until the metrics show a rejected lease request.
    let browser = Browser::new(&service);
    until("the worker is refused", || async {
        let metrics = String::from_utf8(browser.get("/metrics").await.bytes.to_vec()).unwrap();
        metrics.contains("vocalizer_http_requests_total{operation=\"lease_job\",status=\"401\"}")
    })
    .await;
    assert_eq!(now(&browser, &uploaded).await["status"], "UPLOADED");
    let dir = service.stop().await;
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    relay.forward_to(Some(service.address));
    Browser::new(&service).until(&uploaded, "SPLIT").await;
    assert_eq!(worker.separator.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn token_changed_during_work_costs_no_attempts() {
    let service = Service::with(settings(WORKER_TOKEN)).await;
    let relay = Relay::start(service.address).await;
    let worker = RemoteWorker::start(relay.address, once());
    worker.separator.takes_ms.store(2000, Ordering::SeqCst);
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    until("the split has started", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    let dir = service.stop().await;
    let service = Service::over(dir, settings("another")).await;
    relay.forward_to(Some(service.address));
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    until("the result is rejected and will be retried", || async { worker.counts.retried() == 1 }).await;
    let browser = Browser::new(&service);
    assert_ne!(now(&browser, &uploaded).await["status"], "FAILED");
    let dir = service.stop().await;
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    relay.forward_to(Some(service.address));
    Browser::new(&service).until(&uploaded, "SPLIT").await;
}

#[tokio::test]
async fn expired_lease_moves_song_to_another_worker() {
    let service = SmallService::start(Duration::from_secs(1)).await;
    let relay = Relay::start(service.address).await;
    let disconnected = RemoteWorker::start(relay.address, fast_worker());
    disconnected.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let upload = upload(&service, &song(1)).await;
    until("the split has started", || async { disconnected.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    relay.forward_to(None);
    let other = RemoteWorker::start(service.address, fast_worker());
    until("the other worker has split it", || async { other.counts.done() == 1 }).await;
    assert_eq!(disconnected.separator.cancelled.load(Ordering::SeqCst), 0, "the disconnected worker cannot know yet");
    relay.forward_to(Some(service.address));
    until("the disconnected worker has cancelled", || async {
        disconnected.separator.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!((disconnected.counts.done(), disconnected.counts.failed()), (0, 0));
    let view = service.songs.song(Viewer::Anonymous, upload).await.unwrap();
    assert_eq!(view.status, vocalizer_core::api::SongStatus::Split);
    assert_eq!(
        service.queue.depth().await.unwrap(),
        vocalizer_core::ports::Depth { leased: Some(0), ..Default::default() }
    );
}

#[tokio::test]
async fn remote_and_local_workers_share_queue() {
    let service = Service::start().await;
    let remote: Vec<_> = (0..2).map(|_| RemoteWorker::start(service.address, fast_worker())).collect();
    let local = Arc::clone(&service.separator);
    for separator in remote.iter().map(|worker| &worker.separator).chain([&local]) {
        separator.takes_ms.store(50, Ordering::SeqCst);
    }
    let client = Browser::new(&service);
    let mut songs = Vec::new();
    for number in 0..9 {
        songs.push(client.upload("x", &song(number)).await);
    }
    for song in &songs {
        client.until(song, "SPLIT").await;
    }
    let begun = remote.iter().map(|worker| &worker.separator).chain([&local]);
    assert_eq!(begun.map(|separator| separator.begun.load(Ordering::SeqCst)).sum::<u32>(), 9);
}
