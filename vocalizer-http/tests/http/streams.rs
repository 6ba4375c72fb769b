//! Event streams above the caps.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vocalizer_http::settings::{Caps, HttpSettings};

use super::support::{Answer, Service, request};

async fn connect(to: SocketAddr, path: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request("GET", path, more, "").as_bytes()).await.unwrap();
    stream
}

/// Requests a stream and reads only the status, because the stream does not end.
async fn begin(to: SocketAddr, more: &str) -> (TcpStream, u16) {
    let mut stream = connect(to, "/songs/events", more).await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    (stream, std::str::from_utf8(&start[9..]).unwrap().parse().unwrap())
}

/// Opens a stream.
async fn open(to: SocketAddr, more: &str) -> TcpStream {
    let (stream, status) = begin(to, more).await;
    assert_eq!(status, 200);
    stream
}

async fn send(to: SocketAddr, path: &str, more: &str) -> Answer {
    Answer::read(&mut connect(to, path, more).await).await
}

async fn assert_busy(to: SocketAddr, more: &str) {
    assert_eq!(begin(to, more).await.1, 503);
    let answer = send(to, "/songs/events", more).await;
    answer.assert_error(503, "unavailable", None);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
}

#[tokio::test]
async fn event_streams_are_limited() {
    let caps = Caps { event_streams: 4, event_streams_per_client: 2, ..Caps::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let service = Service::with_settings(HttpSettings { caps, ..HttpSettings::default() });
    let (session, _) = service.user().await;
    let ada = format!("Cookie: session={session}\r\n");
    let server = service.server;
    let served = tokio::spawn(async move { server.run(listener, std::future::pending()).await });

    let first = open(to, "").await;
    let _second = open(to, "").await;
    assert_busy(to, "").await;
    // Users are counted separately from their address.
    let _hers = open(to, &ada).await;
    let _also_hers = open(to, &ada).await;
    assert_busy(to, &ada).await;
    send(to, "/songs/", "").await.data();
    drop(first);
    // The server notices the disconnect when it next writes.
    tokio::time::timeout(Duration::from_secs(60), async {
        while begin(to, "").await.1 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    served.abort();
}
