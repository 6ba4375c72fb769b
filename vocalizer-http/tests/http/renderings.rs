//! Files in the making: who is told to come back later, and that a client who leaves ends the work.

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

/// Never done.
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
    Service::rendering(settings, renderings, Arc::new(Endless))
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

fn wav(id: SongId) -> String {
    format!("/songs/{id}/song.wav")
}

/// Lets the server go on until so many files are made and so many requests wait.
async fn until(service: &Service, running: usize, waiting: usize) {
    for _ in 0..100_000 {
        let RenderingCounts { running: now_running, waiting: now_waiting, .. } = service.songs.renderings();
        if (now_running, now_waiting) == (running, waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{:?}", service.songs.renderings());
}

/// Asks over a connection that stays open as long as the other value, while `then` is done.
async fn meanwhile<T>(service: &Service, path: &str, headers: &str, then: impl Future<Output = T>) -> T {
    let (mut client, server) = duplex(64 * 1024);
    client.write_all(request("GET", path, headers, "").as_bytes()).await.unwrap();
    let serving = service.server.serve(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    tokio::select! {
        biased;
        ended = serving => panic!("{path} was answered: {ended:?}"),
        then = then => then,
    }
}

#[tokio::test]
async fn who_asks_for_more_than_their_share_is_told_to_come_back_and_others_are_not() {
    let service = service();
    let songs = [service.song(b"a").await.1, service.song(b"b").await.1, service.song(b"c").await.1];
    let [a, b, c] = songs.map(wav);
    let peaks = format!("/songs/{}/peaks/song", songs[2]);
    let (first, second) = (from("10.0.0.1"), from("10.0.0.2"));
    meanwhile(&service, &a, &first, async {
        until(&service, 1, 0).await;
        meanwhile(&service, &b, &first, async {
            until(&service, 1, 1).await;
            for path in [&c, &peaks] {
                let refused = service.ask("GET", path, &first, "").await;
                refused.refused(503, "unavailable", None);
                assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0, "{refused:?}");
                assert_eq!(service.ask("HEAD", path, &first, "").await.status, 200, "a look costs nothing");
            }
            // Another client, by the proxy's word.
            meanwhile(&service, &c, &second, async {
                until(&service, 2, 1).await;
                // All places are taken by now.
                service.ask("GET", &peaks, &from("10.0.0.3"), "").await.refused(503, "unavailable", None);
            })
            .await;
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work_for_it() {
    let service = service();
    let id = service.song(b"a").await.1;
    for path in [wav(id), format!("/songs/{id}/peaks/song")] {
        let (mut client, server) = duplex(64 * 1024);
        client.write_all(request("GET", &path, "", "").as_bytes()).await.unwrap();
        let serving = service.server.serve(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let leaving = async {
            until(&service, 1, 0).await;
            drop(client);
        };
        let (_, ()) = tokio::join!(serving, leaving);
        until(&service, 0, 0).await;
    }
}
