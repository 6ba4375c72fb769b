//! Limits on renderings, and cancellation when a client disconnects.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncWriteExt as _, duplex};
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Renderer, Track};
use vocalizer_core::service::{RenderingCounts, RenderingSettings};
use vocalizer_core::song::SongId;
use vocalizer_http::settings::HttpSettings;

use super::support::{Service, request};

/// A renderer that never finishes.
struct Endless;

#[async_trait]
impl Renderer for Endless {
    async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        std::future::pending().await
    }

    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        std::future::pending().await
    }
}

fn service() -> Service {
    let settings = HttpSettings { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..HttpSettings::default() };
    let renderings = RenderingSettings { at_once: 2, most: 3, most_per_client: 2, ..RenderingSettings::default() };
    Service::with_renderer(settings, renderings, Arc::new(Endless))
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

fn wav(id: SongId) -> String {
    format!("/songs/{id}/song.wav")
}

/// Waits until this many renderings run and wait.
async fn wait_for_counts(service: &Service, running: usize, waiting: usize) {
    for _ in 0..100_000 {
        let RenderingCounts { running: now_running, waiting: now_waiting, .. } = service.songs.renderings();
        if (now_running, now_waiting) == (running, waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{:?}", service.songs.renderings());
}

/// Runs `then` while a request is open.
async fn during_request<T>(service: &Service, path: &str, headers: &str, then: impl Future<Output = T>) -> T {
    let (mut client, server) = duplex(64 * 1024);
    client.write_all(request("GET", path, headers, "").as_bytes()).await.unwrap();
    let serving = service.server.serve(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    tokio::select! {
        biased;
        ended = serving => panic!("{path} completed early: {ended:?}"),
        then = then => then,
    }
}

#[tokio::test]
async fn client_above_share_gets_503_and_others_do_not() {
    let service = service();
    let songs = [service.song(b"a").await.1, service.song(b"b").await.1, service.song(b"c").await.1];
    let [a, b, c] = songs.map(wav);
    let peaks = format!("/songs/{}/peaks/song", songs[2]);
    let (first, second) = (from("10.0.0.1"), from("10.0.0.2"));
    during_request(&service, &a, &first, async {
        wait_for_counts(&service, 1, 0).await;
        during_request(&service, &b, &first, async {
            wait_for_counts(&service, 1, 1).await;
            for path in [&c, &peaks] {
                let refused = service.send("GET", path, &first, "").await;
                refused.assert_error(503, "unavailable", None);
                assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0, "{refused:?}");
                assert_eq!(service.send("HEAD", path, &first, "").await.status, 200, "HEAD needs no slot");
            }
            // Another client, according to `X-Forwarded-For`.
            during_request(&service, &c, &second, async {
                wait_for_counts(&service, 2, 1).await;
                // All slots are taken.
                service.send("GET", &peaks, &from("10.0.0.3"), "").await.assert_error(503, "unavailable", None);
            })
            .await;
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn disconnect_cancels_rendering() {
    let service = service();
    let id = service.song(b"a").await.1;
    for path in [wav(id), format!("/songs/{id}/peaks/song")] {
        let (mut client, server) = duplex(64 * 1024);
        client.write_all(request("GET", &path, "", "").as_bytes()).await.unwrap();
        let serving = service.server.serve(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let leaving = async {
            wait_for_counts(&service, 1, 0).await;
            drop(client);
        };
        let (_, ()) = tokio::join!(serving, leaving);
        wait_for_counts(&service, 0, 0).await;
    }
}
