//! More at once than the caps allow.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use vocalizer_core::service::RenderingSettings;
use vocalizer_http::settings::Caps;

use super::blocking::{Slow, large_song};
use super::renditions::begin;
use super::server::Server;
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

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_of_one_address_shut_nobody_out_where_files_are_few() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::after("ulimit -n 256", &dir.path().join("data"));
    server.logs(&["open file limit too low"]).await;
    let mut streams = Vec::new();
    for _ in 0..230 {
        let mut stream = from("127.0.0.9", server.address()).await;
        // Above the cap the server may have hung up already.
        let _ = stream.write_all(b"GET /songs/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        streams.push(stream);
    }
    let mut began = 0;
    for stream in &mut streams {
        let mut status = [0; 12];
        let answered = stream.read_exact(&mut status).await.is_ok();
        began += usize::from(answered && &status == b"HTTP/1.1 200");
    }
    assert!((8..=48).contains(&began), "{began} event streams");
    // Somebody else goes on as if nothing were.
    for (path, expected) in [("/songs/", "200"), ("/readyz", "200"), ("/songs/events", "200")] {
        let mut stream = from("127.0.0.10", server.address()).await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(std::str::from_utf8(&status[9..]).unwrap(), expected, "{path}");
    }
}

async fn from(address: &str, to: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}
