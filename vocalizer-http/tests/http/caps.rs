//! More connections than the caps allow.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use vocalizer_http::settings::{Caps, HttpSettings};

use super::support::{Answer, Service, request};

/// Runs a server for as long as the set is there.
async fn serve(settings: HttpSettings) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Service::set(settings).server;
    (address, JoinSet::from_iter([async move { server.run(listener, std::future::pending()).await }]))
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn ask(mut stream: TcpStream, body: &str) -> Answer {
    stream.write_all(request("POST", "/auth/logout", "", body).as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

/// A connection that is served, and stays open.
async fn held(from: &str, to: SocketAddr) -> TcpStream {
    let mut stream = connect(from, to).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut came = [0; 12];
    stream.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"HTTP/1.1 200");
    stream
}

fn is_busy(answer: &Answer) {
    answer.refused(503, "unavailable", None);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{answer:?}");
    assert_eq!(answer.header("connection"), "close");
}

/// Asks until the server has noticed that a connection has ended.
async fn in_time(from: &str, to: SocketAddr) {
    for _ in 0..1000 {
        if ask(connect(from, to).await, "").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is never room");
}

#[tokio::test]
async fn connections_above_the_cap_are_answered_with_503() {
    let caps = Caps { connections: 2, ..Caps::default() };
    let (address, _server) = serve(HttpSettings { caps, ..HttpSettings::default() }).await;
    let first = held("127.0.0.1:0", address).await;
    let _second = held("127.0.0.2:0", address).await;
    is_busy(&ask(connect("127.0.0.3:0", address).await, "").await);
    // Also who is still sending hears it.
    is_busy(&ask(connect("127.0.0.3:0", address).await, &"x".repeat(4 << 20)).await);
    drop(first);
    in_time("127.0.0.3:0", address).await;
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let caps = Caps { connections_per_address: 1, ..Caps::default() };
    let (address, _server) = serve(HttpSettings { caps, ..HttpSettings::default() }).await;
    let held = held("127.0.0.1:0", address).await;
    is_busy(&ask(connect("127.0.0.1:0", address).await, "").await);
    assert_eq!(ask(connect("127.0.0.2:0", address).await, "").await.status, 200);
    drop(held);
    in_time("127.0.0.1:0", address).await;
}

#[tokio::test]
async fn a_trusted_proxy_brings_the_connections_of_many() {
    let caps = Caps { connections_per_address: 1, ..Caps::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (address, _server) = serve(HttpSettings { caps, trusted_proxies, ..HttpSettings::default() }).await;
    let _held = held("127.0.0.1:0", address).await;
    assert_eq!(ask(connect("127.0.0.1:0", address).await, "").await.status, 200);
}
