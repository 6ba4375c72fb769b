//! Other formats: how many are kept, who waits for whom, and when the work on them ends.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;
use vocalizer_core::service::RenderingSettings;

use super::blocking::{Slow, large_song};
use super::support::{Answer, Browser, Service, Settings, id, silence, song};

/// Only a hang takes longer.
const HANG: Duration = Duration::from_secs(60);

/// Long enough that no test sees the end of work on it.
const HOURS: u32 = 5 * 60 * 60;

/// A request that is given up when this is dropped.
pub(super) struct Asking(JoinHandle<Answer>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks by a connection of its own, and gives no answer before there is one.
fn ask(service: &Service, address: &str, path: &str) -> Asking {
    let request = Browser::new(service).request(Method::GET, path).header("x-forwarded-for", address);
    Asking(tokio::spawn(Browser::send(request)))
}

/// The same, once work on it has begun.
pub(super) async fn begin(service: &Service, path: &str) -> Asking {
    let before = service.songs.renderings().running;
    let asking = ask(service, "", path);
    until("the work begins", || service.songs.renderings().running > before).await;
    asking
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: it never does");
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
    let somebody = Browser::new(&service);
    let mut uploaded = Vec::new();
    for number in 0..8 {
        uploaded.push(somebody.upload("x", &song(number)).await);
    }
    let mut bytes = Vec::new();
    for song in &uploaded {
        let answer = somebody.get(&wav(song)).await;
        assert_eq!(answer.status, 200);
        bytes.push(answer.bytes);
        assert!(service.made().len() <= 3, "{:?}", service.made());
    }
    assert_eq!(service.made().len(), 3);
    // 5, 6 and 7 are left; the first of them is asked for again, so that the next one goes.
    let has = |service: &Service, number: usize| {
        let hash = uploaded[number]["hash"].as_str().unwrap();
        service.blobs().join(&hash[..2]).join(hash).join("made/song.wav").exists()
    };
    let tag = somebody.get(&wav(&uploaded[5])).await.header("etag").to_owned();
    assert_eq!(somebody.get(&wav(&uploaded[0])).await.bytes, bytes[0], "it is made again");
    assert_eq!([0, 5, 6, 7].map(|number| has(&service, number)), [true, true, false, true]);

    // A new process knows what was used last, and not only what was written last.
    assert_eq!(somebody.get(&wav(&uploaded[5])).await.header("etag"), tag, "it was not made again");
    let service = Service::over(service.stop().await, settings(keeping(10_000))).await;
    service.songs.trim().await.unwrap();
    assert_eq!([0, 5, 6, 7].map(|number| has(&service, number)), [false, true, false, false]);
}

#[tokio::test]
async fn eviction_spares_renditions_being_downloaded() {
    let service = service(keeping(0)).await;
    let (open, somebody) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = Slow::ask(&service, &path("vocals.wav")).await;
    assert_eq!(somebody.get(&path("drums.flac")).await.status, 200);
    assert_eq!(somebody.get(&path("peaks/bass")).await.status, 200);
    service.songs.trim().await.unwrap();
    assert_eq!(service.made(), ["vocals.wav"]);
    let whole = slow.rest().await;
    assert!(whole.len() > 4 << 20, "{} bytes", whole.len());
    for _ in 0..1000 {
        service.songs.trim().await.unwrap();
        if service.made().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?} stays", service.made());
}

#[tokio::test]
async fn abandoned_rendering_is_cancelled_and_leaves_nothing() {
    let service = service(RenderingSettings::default()).await;
    let long = Browser::new(&service).upload("long", &silence(HOURS)).await;
    for name in ["song.flac", "song.wav", "peaks/song"] {
        let asking = begin(&service, &format!("/songs/{}/{name}", id(&long))).await;
        until("a file is being worked on", || service.temporary_files() > 0).await;
        drop(asking);
        until("nothing is left", || service.temporary_files() == 0).await;
        assert_eq!(service.songs.renderings().running, 0, "{name}");
    }
    assert_eq!(service.made(), Vec::<String>::new());
}

#[tokio::test]
async fn rendering_over_time_limit_is_cancelled() {
    let time_limit = Duration::from_millis(100);
    let service = service(RenderingSettings { time_limit, ..RenderingSettings::default() }).await;
    let somebody = Browser::new(&service);
    let long = somebody.upload("long", &silence(HOURS)).await;
    for name in ["song.flac", "peaks/song"] {
        let said = assert_busy(&somebody.get(&format!("/songs/{}/{name}", id(&long))).await);
        assert_eq!(said, "making this file took longer than the 100ms that are allowed", "{name}");
    }
    until("nothing is left", || service.temporary_files() == 0).await;
    assert_eq!(service.made(), Vec::<String>::new());
}

#[tokio::test]
async fn many_renditions_of_one_client_do_not_block_another() {
    let service = Arc::new(service(RenderingSettings::default()).await);
    let somebody = Browser::new(&service);
    let short = somebody.upload("short", &song(1)).await;
    let mut many = Vec::new();
    for number in 0..20 {
        let long = somebody.upload("long", &silence(HOURS + number)).await;
        many.push(ask(&service, "10.0.0.1", &format!("/songs/{}/song.flac", id(&long))));
    }
    until("they wait", || service.songs.renderings().waiting >= 10).await;
    for _ in 0..2 {
        let mut other = ask(&service, "10.0.0.2", &wav(&short));
        let answer = tokio::time::timeout(HANG, &mut other.0).await.expect("it waits for the first client's").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // Beyond their share they are sent away; an address that only they claim does not help them.
    let mut more = ask(&service, "10.0.0.3, 10.0.0.1", &format!("{}?again", wav(&short).replace("wav", "flac")));
    assert_busy(&tokio::time::timeout(HANG, &mut more.0).await.expect("an answer").unwrap());
    drop(many);
    until("nothing is left", || service.temporary_files() == 0).await;
}
