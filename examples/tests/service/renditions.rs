//! Renditions: cache bounds, fairness between clients, and cancellation.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;
use vocalizer_core::service::RenderingSettings;

use super::blocking::{Slow, large_song};
use super::support::{Answer, Browser, Service, Settings, id, silence, song};

/// Exceeded only by a hang.
const HANG: Duration = Duration::from_secs(60);

/// Audio so long that no test reaches the end of its rendering.
const HOURS: u32 = 5 * 60 * 60;

/// A request that is cancelled on drop.
pub(super) struct PendingRequest(JoinHandle<Answer>);

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request on its own connection in the background.
fn ask(service: &Service, address: &str, path: &str) -> PendingRequest {
    let request = Browser::new(service).request(Method::GET, path).header("x-forwarded-for", address);
    PendingRequest(tokio::spawn(Browser::send(request)))
}

/// Sends a request and waits until its rendering has started.
pub(super) async fn begin(service: &Service, path: &str) -> PendingRequest {
    let before = service.songs.renderings().running;
    let asking = ask(service, "", path);
    until("the rendering to start", || service.songs.renderings().running > before).await;
    asking
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out waiting for {what}");
}

async fn service(renderings: RenderingSettings) -> Service {
    Service::with(settings(renderings)).await
}

fn settings(renderings: RenderingSettings) -> Settings {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    Settings { workers: 0, renderings, trusted_proxies, ..Settings::default() }
}

fn keeping(max_bytes: u64) -> RenderingSettings {
    RenderingSettings { max_bytes: Some(max_bytes), ..RenderingSettings::default() }
}

fn assert_busy(answer: &Answer) -> String {
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
    answer.refused(503, "unavailable")
}

fn wav(song: &Value) -> String {
    format!("/songs/{}/song.wav", id(song))
}

#[tokio::test]
async fn rendition_cache_is_bounded_and_evicts_least_recently_used() {
    // Each takes 8,864 bytes.
    let service = service(keeping(30_000)).await;
    let client = Browser::new(&service);
    let mut uploaded = Vec::new();
    for number in 0..8 {
        uploaded.push(client.upload("x", &song(number)).await);
    }
    let mut bytes = Vec::new();
    for song in &uploaded {
        let answer = client.get(&wav(song)).await;
        assert_eq!(answer.status, 200);
        bytes.push(answer.bytes);
        assert!(service.cached().len() <= 3, "{:?}", service.cached());
    }
    assert_eq!(service.cached().len(), 3);
    // 5, 6 and 7 are cached. Using 5 again makes 6 the next to be evicted.
    let has = |service: &Service, number: usize| {
        let hash = uploaded[number]["hash"].as_str().unwrap();
        service.blobs().join(&hash[..2]).join(hash).join("made/song.wav").exists()
    };
    let tag = client.get(&wav(&uploaded[5])).await.header("etag").to_owned();
    assert_eq!(client.get(&wav(&uploaded[0])).await.bytes, bytes[0], "the evicted file is made again");
    assert_eq!([0, 5, 6, 7].map(|number| has(&service, number)), [true, true, false, true]);

    // A new process still knows the times of use, not only those of writing.
    assert_eq!(client.get(&wav(&uploaded[5])).await.header("etag"), tag, "the cached file is used");
    let service = Service::over(service.stop().await, settings(keeping(10_000))).await;
    service.songs.trim().await.unwrap();
    assert_eq!([0, 5, 6, 7].map(|number| has(&service, number)), [false, true, false, false]);
}

#[tokio::test]
async fn eviction_spares_renditions_being_downloaded() {
    let service = service(keeping(0)).await;
    let (open, client) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = Slow::ask(&service, &path("vocals.wav")).await;
    assert_eq!(client.get(&path("drums.flac")).await.status, 200);
    assert_eq!(client.get(&path("peaks/bass")).await.status, 200);
    service.songs.trim().await.unwrap();
    assert_eq!(service.cached(), ["vocals.wav"]);
    let whole = slow.read_to_end().await;
    assert!(whole.len() > 4 << 20, "{} bytes", whole.len());
    for _ in 0..1000 {
        service.songs.trim().await.unwrap();
        if service.cached().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?} is not evicted", service.cached());
}

#[tokio::test]
async fn abandoned_rendering_is_cancelled_and_leaves_nothing() {
    let service = service(RenderingSettings::default()).await;
    let long = Browser::new(&service).upload("long", &silence(HOURS)).await;
    for name in ["song.flac", "song.wav", "peaks/song"] {
        let asking = begin(&service, &format!("/songs/{}/{name}", id(&long))).await;
        until("a temporary file", || service.temporary_files() > 0).await;
        drop(asking);
        until("temporary files to be removed", || service.temporary_files() == 0).await;
        assert_eq!(service.songs.renderings().running, 0, "{name}");
    }
    assert_eq!(service.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn rendering_over_time_limit_is_cancelled() {
    let time_limit = Duration::from_millis(100);
    let service = service(RenderingSettings { time_limit, ..RenderingSettings::default() }).await;
    let client = Browser::new(&service);
    let long = client.upload("long", &silence(HOURS)).await;
    for name in ["song.flac", "peaks/song"] {
        let message = assert_busy(&client.get(&format!("/songs/{}/{name}", id(&long))).await);
        assert_eq!(message, "rendering timed out after 100ms", "{name}");
    }
    until("temporary files to be removed", || service.temporary_files() == 0).await;
    assert_eq!(service.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn many_renditions_of_one_client_do_not_block_another() {
    let service = Arc::new(service(RenderingSettings::default()).await);
    let client = Browser::new(&service);
    let short = client.upload("short", &song(1)).await;
    let mut many = Vec::new();
    for number in 0..20 {
        let long = client.upload("long", &silence(HOURS + number)).await;
        many.push(ask(&service, "10.0.0.1", &format!("/songs/{}/song.flac", id(&long))));
    }
    until("requests to queue", || service.songs.renderings().waiting >= 10).await;
    for _ in 0..2 {
        let mut other = ask(&service, "10.0.0.2", &wav(&short));
        let answer = tokio::time::timeout(HANG, &mut other.0)
            .await
            .expect("the request waits for another client's renditions")
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // Requests above the client's share are rejected; a forged address in the header does not help.
    let mut more = ask(&service, "10.0.0.3, 10.0.0.1", &format!("{}?again", wav(&short).replace("wav", "flac")));
    assert_busy(&tokio::time::timeout(HANG, &mut more.0).await.expect("an answer").unwrap());
    drop(many);
    until("temporary files to be removed", || service.temporary_files() == 0).await;
}
