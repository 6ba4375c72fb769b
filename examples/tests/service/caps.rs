//! More at once than the caps allow.

use std::time::Duration;

use reqwest::Method;
use vocalizer_core::service::RenderingSettings;
use vocalizer_http::settings::Caps;

use super::blocking::{Slow, large_song};
use super::renditions::begin;
use super::support::{Answer, Browser, Service, Settings, id, silence};

async fn service(caps: Caps) -> Service {
    Service::with(Settings { workers: 0, caps, ..Settings::default() }).await
}

fn is_busy(answer: &Answer) {
    answer.refused(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
}

/// The answer, once the server has noticed that there is room again.
async fn in_time(browser: &Browser, path: &str) -> Answer {
    for _ in 0..1000 {
        let answer = browser.get(path).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is never room for {path}");
}

#[tokio::test]
async fn archives_above_the_cap_are_refused_until_one_has_ended() {
    let service = service(Caps { archives: 2, ..Caps::default() }).await;
    let (open, somebody) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = [Slow::ask(&service, &path("stems.zip")).await, Slow::ask(&service, &path("stems.tar")).await];
    is_busy(&somebody.get(&path("stems.zip")).await);
    is_busy(&somebody.get(&path("stems.tar")).await);
    assert_eq!(somebody.get(&path("vocals.mp3")).await.status, 200);
    let head = Browser::send(somebody.request(Method::HEAD, &path("stems.zip"))).await;
    assert_eq!(head.status, 200);
    let [first, second] = slow;
    first.rest().await;
    assert_eq!(in_time(&somebody, &path("stems.zip")).await.status, 200);
    // A client that leaves in the middle makes room as well.
    let third = Slow::ask(&service, &path("stems.zip")).await;
    is_busy(&somebody.get(&path("stems.zip")).await);
    drop((second, third));
    assert_eq!(in_time(&somebody, &path("stems.tar")).await.status, 200);
}

#[tokio::test]
async fn renderings_above_the_cap_are_refused_and_what_is_made_is_not() {
    let renderings = RenderingSettings { most: 1, ..RenderingSettings::default() };
    let service = Service::with(Settings { workers: 0, renderings, ..Settings::default() }).await;
    let (open, somebody) = (large_song(&service).await, Browser::new(&service));
    let long = somebody.upload("long", &silence(5 * 60 * 60)).await;
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    for made in ["drums.flac", "peaks/drums"] {
        assert_eq!(in_time(&somebody, &path(made)).await.status, 200, "{made}");
    }
    let making = begin(&service, &format!("/songs/{}/song.flac", id(&long))).await;
    for name in ["vocals.flac", "accompaniment.mp3", "mix.mp3", "stems.zip?format=flac", "peaks/vocals"] {
        is_busy(&somebody.get(&path(name)).await);
    }
    for name in ["vocals.mp3", "drums.flac", "peaks/drums", "stems.zip"] {
        assert_eq!(somebody.get(&path(name)).await.status, 200, "{name}");
    }
    drop(making);
    assert_eq!(in_time(&somebody, &path("vocals.flac")).await.status, 200);
}

#[tokio::test]
async fn slow_readers_of_mixes_do_not_stop_renditions() {
    let renderings = RenderingSettings { most: 2, most_per_client: 2, ..RenderingSettings::default() };
    let service = Service::with(Settings { workers: 0, renderings, ..Settings::default() }).await;
    let (open, somebody) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = [Slow::ask(&service, &path("mix.wav")).await, Slow::ask(&service, &path("mix.flac")).await];
    is_busy(&somebody.get(&path("mix.mp3")).await);
    for name in ["vocals.flac", "accompaniment.mp3", "stems.zip?format=flac", "peaks/vocals"] {
        assert_eq!(somebody.get(&path(name)).await.status, 200, "{name}");
    }
    drop(slow);
    assert_eq!(in_time(&somebody, &path("mix.mp3")).await.status, 200);
}
