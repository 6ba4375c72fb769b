//! The background work of a server.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, yield_now};
use vocalizer_http::server::{Server, ServerError};
use vocalizer_http::settings::HttpSettings;

use super::support::{Answer, Service, request};

/// A server over the service that runs the background work, unlike the service's own.
fn server(service: &Service) -> Server {
    Server::new(service.songs.clone(), service.accounts.clone(), HttpSettings::default()).unwrap()
}

async fn ready(address: SocketAddr) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request("GET", "/readyz", "", "").as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

#[tokio::test]
async fn server_publishes_jobs_in_the_outbox() {
    let service = Service::new();
    service.admit(b"a song").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server(&service);
    let _server = JoinSet::from_iter([async move { server.run(listener, std::future::pending()).await }]);
    while service.queue.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ready(address).await.json()["checks"]["outbox"], "ok");
}

#[tokio::test]
async fn server_without_background_work_is_not_ready() {
    let service = Service::new();
    let songs = service.songs.clone();
    let answer = service.send("GET", "/readyz", "", "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["checks"]["outbox"].as_str().unwrap().contains("does not run"), "{}", answer.text());

    let running = tokio::spawn(async move { songs.run_background(Duration::from_secs(600)).await });
    while service.songs.check_background().is_err() {
        yield_now().await;
    }
    running.abort();
    running.await.unwrap_err();
    service.songs.check_background().unwrap_err();
}

#[tokio::test]
async fn panicking_background_work_ends_server_with_error() {
    let service = Service::new();
    service.queue.0.broken.store(true, Ordering::SeqCst);
    service.admit(b"a song").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), server(&service).run(listener, std::future::pending()));
    let error = ended.await.expect("the server to end").unwrap_err();
    assert!(matches!(&error, ServerError::Background(_)), "{error:?}");
}
