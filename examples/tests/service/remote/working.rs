//! From the queue to the stems, over HTTP, with what can come between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use vocalizer_core::account::Viewer;
use vocalizer_core::worker::WorkerSettings;

use super::place::{Elsewhere, Front, Lean, until, upload};
use crate::support::{Browser, Service, Settings, WORKER_TOKEN, id, quick, song, stems};

/// Long enough for a test to do something meanwhile, which then lets it go on.
const LONG_MS: u32 = 600_000;

/// Attempts are dear: what costs one ends the song.
fn once() -> WorkerSettings {
    WorkerSettings { max_attempts: 1, ..quick() }
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
    let worker = Elsewhere::start(service.address, once());
    worker.separator.takes_ms.store(2000, Ordering::SeqCst);
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("x", &song(1)).await;
    until("progress is seen", || async { now(&ada, &uploaded).await["progress"].as_u64() >= Some(10) }).await;
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
    let worker = Elsewhere::start(service.address, WorkerSettings { max_attempts: 2, ..quick() });
    worker.separator.failures.store(2, Ordering::SeqCst);
    let somebody = Browser::new(&service);
    let uploaded = somebody.upload("x", &song(1)).await;
    let failed = somebody.until(&uploaded, "FAILED").await;
    let reason = failed["failure_reason"].as_str().unwrap();
    assert!(reason.contains("tried 2 times"), "{reason}");
    assert_eq!(worker.separator.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn deleting_song_cancels_remote_work() {
    let service = Service::idle().await;
    let worker = Elsewhere::start(service.address, once());
    worker.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let somebody = Browser::new(&service);
    let doomed = somebody.upload("x", &song(1)).await;
    until("it has begun", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    somebody.delete(&format!("/songs/{}", id(&doomed))).await.data();
    until("it is cancelled", || async { worker.separator.cancelled.load(Ordering::SeqCst) == 1 }).await;
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    let next = somebody.upload("y", &song(2)).await;
    somebody.until(&next, "SPLIT").await;
}

#[tokio::test]
async fn lease_survives_server_restart_and_song_is_split_once() {
    let service = Service::with(settings(WORKER_TOKEN)).await;
    let front = Front::before(service.address).await;
    let worker = Elsewhere::start(front.address, once());
    worker.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    until("it has begun", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    let dir = service.stop().await;
    front.leads_to(None);
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    let depth = service.songs.queue().depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased), (0, Some(1)), "a restart forgot whose the job is");
    front.leads_to(Some(service.address));
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    Browser::new(&service).until(&uploaded, "SPLIT").await;
    // Settled by the one who had it, and nobody was given it again.
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
    let front = Front::before(service.address).await;
    let worker = Elsewhere::start(front.address, once());
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    // It has asked and was sent away, as its figures tell.
    let browser = Browser::new(&service);
    until("the worker is refused", || async {
        let figures = String::from_utf8(browser.get("/metrics").await.bytes.to_vec()).unwrap();
        figures.contains("vocalizer_http_requests_total{operation=\"lease_job\",status=\"401\"}")
    })
    .await;
    assert_eq!(now(&browser, &uploaded).await["status"], "UPLOADED");
    let dir = service.stop().await;
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    front.leads_to(Some(service.address));
    Browser::new(&service).until(&uploaded, "SPLIT").await;
    assert_eq!(worker.separator.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn token_changed_during_work_costs_no_attempts() {
    let service = Service::with(settings(WORKER_TOKEN)).await;
    let front = Front::before(service.address).await;
    let worker = Elsewhere::start(front.address, once());
    worker.separator.takes_ms.store(2000, Ordering::SeqCst);
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    until("it has begun", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    let dir = service.stop().await;
    let service = Service::over(dir, settings("another")).await;
    front.leads_to(Some(service.address));
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    until("the result is refused and put off", || async { worker.counts.retried() == 1 }).await;
    let browser = Browser::new(&service);
    assert_ne!(now(&browser, &uploaded).await["status"], "FAILED");
    let dir = service.stop().await;
    let service = Service::over(dir, settings(WORKER_TOKEN)).await;
    front.leads_to(Some(service.address));
    Browser::new(&service).until(&uploaded, "SPLIT").await;
}

#[tokio::test]
async fn expired_lease_moves_song_to_another_worker() {
    let service = Lean::start(Duration::from_secs(1)).await;
    let front = Front::before(service.address).await;
    let cut_off = Elsewhere::start(front.address, quick());
    cut_off.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let upload = upload(&service, &song(1)).await;
    until("it has begun", || async { cut_off.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    front.leads_to(None);
    let other = Elsewhere::start(service.address, quick());
    until("the other one has split it", || async { other.counts.done() == 1 }).await;
    assert_eq!(cut_off.separator.cancelled.load(Ordering::SeqCst), 0, "nobody could tell it");
    front.leads_to(Some(service.address));
    until("it has let go", || async { cut_off.separator.cancelled.load(Ordering::SeqCst) == 1 }).await;
    assert_eq!((cut_off.counts.done(), cut_off.counts.failed()), (0, 0));
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
    let elsewhere: Vec<_> = (0..2).map(|_| Elsewhere::start(service.address, quick())).collect();
    let here = Arc::clone(&service.separator);
    for separator in elsewhere.iter().map(|worker| &worker.separator).chain([&here]) {
        separator.takes_ms.store(50, Ordering::SeqCst);
    }
    let somebody = Browser::new(&service);
    let mut songs = Vec::new();
    for number in 0..9 {
        songs.push(somebody.upload("x", &song(number)).await);
    }
    for song in &songs {
        somebody.until(song, "SPLIT").await;
    }
    let begun = elsewhere.iter().map(|worker| &worker.separator).chain([&here]);
    assert_eq!(begun.map(|separator| separator.begun.load(Ordering::SeqCst)).sum::<u32>(), 9);
}
