//! Connections above the caps.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use vocalizer_http::settings::{Caps, HttpSettings};

use super::support::{Answer, Service, request};

/// Runs a server until the set is dropped.
async fn serve(settings: HttpSettings) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Service::with_settings(settings).server;
    (address, JoinSet::from_iter([async move { server.run(listener, std::future::pending()).await.unwrap() }]))
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn send(mut stream: TcpStream, body: &str) -> Answer {
    stream.write_all(request("POST", "/auth/logout", "", body).as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

/// Opens a connection that is served and stays open.
async fn open_connection(from: &str, to: SocketAddr) -> TcpStream {
    let mut stream = connect(from, to).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

fn assert_busy(answer: &Answer) {
    answer.assert_error(503, "unavailable", None);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
    assert_eq!(answer.header("connection"), "close");
}

/// Retries until the server has noticed that a connection was closed.
async fn wait_for_free_slot(from: &str, to: SocketAddr) {
    for _ in 0..1000 {
        if send(connect(from, to).await, "").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the slot was not freed");
}

#[tokio::test]
async fn connections_above_cap_get_503() {
    let caps = Caps { connections: 2, ..Caps::default() };
    let (address, _server) = serve(HttpSettings { caps, ..HttpSettings::default() }).await;
    let first = open_connection("127.0.0.1:0", address).await;
    let _second = open_connection("127.0.0.2:0", address).await;
    assert_busy(&send(connect("127.0.0.3:0", address).await, "").await);
    // A client that is still sending gets the response too.
    assert_busy(&send(connect("127.0.0.3:0", address).await, &"x".repeat(4 << 20)).await);
    drop(first);
    wait_for_free_slot("127.0.0.3:0", address).await;
}

#[tokio::test]
async fn connections_are_limited_per_address() {
    let caps = Caps { connections_per_address: 1, ..Caps::default() };
    let (address, _server) = serve(HttpSettings { caps, ..HttpSettings::default() }).await;
    let held = open_connection("127.0.0.1:0", address).await;
    assert_busy(&send(connect("127.0.0.1:0", address).await, "").await);
    assert_eq!(send(connect("127.0.0.2:0", address).await, "").await.status, 200);
    drop(held);
    wait_for_free_slot("127.0.0.1:0", address).await;
}

#[tokio::test]
async fn trusted_proxy_is_exempt_from_per_address_limit() {
    let caps = Caps { connections_per_address: 1, ..Caps::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (address, _server) = serve(HttpSettings { caps, trusted_proxies, ..HttpSettings::default() }).await;
    let _held = open_connection("127.0.0.1:0", address).await;
    assert_eq!(send(connect("127.0.0.1:0", address).await, "").await.status, 200);
}
