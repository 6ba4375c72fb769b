//! Caps on concurrent work.

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

fn assert_busy(answer: &Answer) {
    answer.refused(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
}

/// Repeats the request until the server has noticed the free capacity, and returns the response.
async fn get_when_free(browser: &Browser, path: &str) -> Answer {
    for _ in 0..1000 {
        let answer = browser.get(path).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no capacity ever becomes free for {path}");
}

#[tokio::test]
async fn archives_above_cap_are_rejected_until_one_ends() {
    let service = service(Caps { archives: 2, ..Caps::default() }).await;
    let (open, client) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = [Slow::ask(&service, &path("stems.zip")).await, Slow::ask(&service, &path("stems.tar")).await];
    assert_busy(&client.get(&path("stems.zip")).await);
    assert_busy(&client.get(&path("stems.tar")).await);
    assert_eq!(client.get(&path("vocals.mp3")).await.status, 200);
    let head = Browser::send(client.request(Method::HEAD, &path("stems.zip"))).await;
    assert_eq!(head.status, 200);
    let [first, second] = slow;
    first.read_to_end().await;
    assert_eq!(get_when_free(&client, &path("stems.zip")).await.status, 200);
    // A client that disconnects frees capacity as well.
    let third = Slow::ask(&service, &path("stems.zip")).await;
    assert_busy(&client.get(&path("stems.zip")).await);
    drop((second, third));
    assert_eq!(get_when_free(&client, &path("stems.tar")).await.status, 200);
}

#[tokio::test]
async fn archives_of_one_client_leave_room_for_others() {
    let service = service(Caps { archives: 4, archives_per_client: 2, ..Caps::default() }).await;
    let open = large_song(&service).await;
    let path = format!("/songs/{}/stems.zip", id(&open));
    let _slow = [Slow::ask(&service, &path).await, Slow::ask(&service, &path).await];
    assert_busy(&Browser::new(&service).get(&path).await);
    let ada = Browser::registered(&service, "ada").await;
    assert_eq!(ada.get(&path).await.status, 200);
}

#[tokio::test]
async fn renderings_above_cap_are_rejected_but_cached_ones_served() {
    let renderings = RenderingSettings { most: 1, ..RenderingSettings::default() };
    let service = Service::with(Settings { workers: 0, renderings, ..Settings::default() }).await;
    let (open, client) = (large_song(&service).await, Browser::new(&service));
    let long = client.upload("long", &silence(5 * 60 * 60)).await;
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    for made in ["drums.flac", "peaks/drums"] {
        assert_eq!(get_when_free(&client, &path(made)).await.status, 200, "{made}");
    }
    let making = begin(&service, &format!("/songs/{}/song.flac", id(&long))).await;
    for name in ["vocals.flac", "accompaniment.mp3", "mix.mp3", "stems.zip?format=flac", "peaks/vocals"] {
        assert_busy(&client.get(&path(name)).await);
    }
    for name in ["vocals.mp3", "drums.flac", "peaks/drums", "stems.zip"] {
        assert_eq!(client.get(&path(name)).await.status, 200, "{name}");
    }
    drop(making);
    assert_eq!(get_when_free(&client, &path("vocals.flac")).await.status, 200);
}

#[tokio::test]
async fn slow_mix_readers_do_not_block_renditions() {
    let renderings = RenderingSettings { most: 2, most_per_client: 2, ..RenderingSettings::default() };
    let service = Service::with(Settings { workers: 0, renderings, ..Settings::default() }).await;
    let (open, client) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&open));
    let slow = [Slow::ask(&service, &path("mix.wav")).await, Slow::ask(&service, &path("mix.wav?vocals=0.5")).await];
    assert_busy(&client.get(&path("mix.mp3")).await);
    for name in ["vocals.flac", "accompaniment.mp3", "stems.zip?format=flac", "peaks/vocals"] {
        assert_eq!(client.get(&path(name)).await.status, 200, "{name}");
    }
    drop(slow);
    assert_eq!(get_when_free(&client, &path("mix.mp3")).await.status, 200);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_of_one_address_leave_file_descriptors_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::after("ulimit -n 256", &dir.path().join("data"));
    server.wait_for_log(&["open file limit too low"]).await;
    let mut streams = Vec::new();
    for _ in 0..230 {
        let mut stream = from("127.0.0.9", server.address()).await;
        // Above the cap the server may have closed the connection already.
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
    // Clients at other addresses are not affected.
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
