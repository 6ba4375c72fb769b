//! Repeated uploads, and uploads that are too large.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vocalizer_core::account::Viewer;
use vocalizer_core::service::Listing;
use vocalizer_core::song::SongId;

use super::support::{Answer, Service};

const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";

fn text(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(bytes: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.mp3\"\r\n\r\n{bytes}\r\n")
}

/// Uploads a form with these parts. `headers` are complete lines.
async fn upload(service: &Service, headers: &str, parts: &[String]) -> Answer {
    let body = format!("{}--b--\r\n", parts.concat());
    service.send("POST", "/songs/upload", &format!("{FORM}{headers}"), &body).await
}

/// The parts of a form with an ID.
fn song(id: &str, bytes: &str) -> [String; 3] {
    [text("title", "x"), text("id", id), file(bytes)]
}

async fn count(service: &Service, viewer: Viewer) -> usize {
    service.songs.list(viewer, Listing::default()).await.unwrap().songs.len()
}

#[tokio::test]
async fn same_upload_with_the_same_id_makes_one_song_and_the_same_answer() {
    let service = Service::accepting_uploads(1000);
    let id = SongId::random().to_string();
    let first = upload(&service, "", &song(&id, "a song")).await.data();
    assert_eq!(first["song"]["id"], id.as_str());
    assert_eq!(upload(&service, "", &song(&id, "a song")).await.data(), first);
    assert_eq!(count(&service, Viewer::Anonymous).await, 1);
    // Without the ID, the same bytes are another song.
    let [title, _, file] = song(&id, "a song");
    assert_ne!(upload(&service, "", &[title, file]).await.data()["song"]["id"], id.as_str());
    assert_eq!(count(&service, Viewer::Anonymous).await, 2);
}

#[tokio::test]
async fn concurrent_uploads_with_the_same_id_make_one_song_and_the_same_answer() {
    let service = Service::accepting_uploads(1000);
    let (session, _) = service.user().await;
    let ada = format!("Cookie: session={session}\r\n");
    for headers in ["", &ada] {
        let id = SongId::random().to_string();
        let parts = song(&id, "a song");
        let answers = join_all((0..20).map(|_| upload(&service, headers, &parts))).await;
        let songs: Vec<Value> = answers.iter().map(Answer::data).collect();
        assert!(songs.iter().all(|song| song["song"]["id"] == id.as_str() && *song == songs[0]), "{songs:?}");
    }
    assert_eq!(count(&service, Viewer::Anonymous).await, 1);
}

#[tokio::test]
async fn same_id_with_other_bytes_is_a_conflict() {
    let service = Service::accepting_uploads(1000);
    let id = SongId::random().to_string();
    let first = upload(&service, "", &song(&id, "a song")).await.data();
    upload(&service, "", &song(&id, "another song")).await.assert_error(409, "conflict", Some("id"));
    assert_eq!(upload(&service, "", &song(&id, "a song")).await.data(), first);
    assert_eq!(count(&service, Viewer::Anonymous).await, 1);
}

#[tokio::test]
async fn same_id_from_another_user_is_a_conflict_and_tells_nothing() {
    let service = Service::accepting_uploads(1000);
    let (ada, _) = service.user().await;
    let (bob, _) = service.user_named("bob").await;
    let [ada, bob] = [ada, bob].map(|session| format!("Cookie: session={session}\r\n"));
    let id = SongId::random().to_string();
    let secret = [text("title", "a secret"), text("id", &id), file("a song")];
    upload(&service, &ada, &secret).await.data();
    for headers in [&bob, ""] {
        for bytes in ["a song", "another song"] {
            let answer = upload(&service, headers, &song(&id, bytes)).await;
            answer.assert_error(409, "conflict", Some("id"));
            assert!(!answer.text().contains("a secret"), "{answer:?}");
        }
    }
    assert_eq!(count(&service, Viewer::Anonymous).await, 0);
}

#[tokio::test]
async fn id_must_be_a_uuid() {
    let service = Service::accepting_uploads(1000);
    for id in ["", "x", "7", "../../etc/passwd", "0123456789abcdef0123456789abcdeg", &"x".repeat(10_000)] {
        upload(&service, "", &song(id, "a song")).await.assert_error(422, "invalid", Some("id"));
    }
    assert_eq!(count(&service, Viewer::Anonymous).await, 0);
    let [title, id, file] = song(&SongId::random().to_string(), "a song");
    upload(&service, "", &[title, id.clone(), id, file]).await.assert_error(400, "malformed", None);
}

#[tokio::test]
async fn id_may_come_after_the_file() {
    let service = Service::accepting_uploads(1000);
    let id = SongId::random().to_string();
    let [title, field, file] = song(&id, "a song");
    let first = upload(&service, "", &[file.clone(), field.clone(), title.clone()]).await.data();
    assert_eq!(first["song"]["id"], id.as_str());
    assert_eq!(upload(&service, "", &[title, file, field]).await.data(), first);
    let invalid = [self::file("a song"), text("title", "x"), text("id", "x")];
    upload(&service, "", &invalid).await.assert_error(422, "invalid", Some("id"));
    assert_eq!(count(&service, Viewer::Anonymous).await, 1);
}

/// Longer than any step here takes, even on a slow machine.
const LONG_TIMEOUT: Duration = Duration::from_secs(120);

/// A server on a real connection that accepts 1000 bytes.
async fn small_server() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Service::accepting_uploads(1000).server;
    (address, tokio::spawn(async move { server.run(listener, std::future::pending()).await.unwrap() }))
}

/// How a client sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Announced,
    Chunked,
}

/// Returns an upload with a file of `len` bytes.
fn large_upload(length: Length, len: usize, more: &str) -> Vec<u8> {
    let body = format!("{}{}--b--\r\n", text("title", "x"), file(&"x".repeat(len)));
    let head = format!("POST /songs/upload HTTP/1.1\r\nHost: x\r\n{FORM}{more}");
    match length {
        Length::Announced => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        Length::Chunked => {
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        }
    }
    .into_bytes()
}

const CLOSE: &str = "Connection: close\r\n";

/// Reads the response only after everything is sent, like many simple clients.
async fn send_then_read(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        Answer::read(&mut stream).await
    };
    timeout(LONG_TIMEOUT, exchange).await.unwrap()
}

/// Reads while sending.
async fn send_and_read(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut receiving, mut sending) = stream.into_split();
        let (sent, answer) = tokio::join!(sending.write_all(request), Answer::read(&mut receiving));
        sent.unwrap();
        answer
    };
    timeout(LONG_TIMEOUT, exchange).await.unwrap()
}

/// More than the kernel buffers, so that a client is still sending when the server responds.
const MANY_BYTES: usize = 8 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_upload_always_gets_413_and_never_a_broken_connection() {
    let (address, server) = small_server().await;
    for length in [Length::Announced, Length::Chunked] {
        for (attempts, len) in [(50, 1001), (50, 300_000), (10, MANY_BYTES)] {
            let request = large_upload(length, len, CLOSE);
            for attempt in 0..attempts {
                for answer in [send_then_read(address, &request).await, send_and_read(address, &request).await] {
                    assert_eq!(answer.status, 413, "{attempt} {length:?} {len}: {answer:?}");
                    answer.assert_error(413, "too_large", None);
                }
            }
        }
    }
    server.abort();
}

#[tokio::test]
async fn connection_can_be_used_after_a_too_large_upload() {
    let (address, server) = small_server().await;
    for length in [Length::Announced, Length::Chunked] {
        let mut requests = large_upload(length, 500_000, "");
        requests.extend_from_slice(b"GET /limits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut received = String::new();
        timeout(LONG_TIMEOUT, async {
            stream.write_all(&requests).await.unwrap();
            stream.read_to_string(&mut received).await.unwrap();
        })
        .await
        .unwrap();
        assert!(received.starts_with("HTTP/1.1 413 ") && received.contains("HTTP/1.1 200 "), "{received}");
    }
    server.abort();
}

/// Reads a response's head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LONG_TIMEOUT, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn too_large_upload_that_expects_100_continue_gets_413_instead() {
    let (address, server) = small_server().await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = String::from_utf8(large_upload(Length::Announced, 500_000, "Expect: 100-continue\r\n")).unwrap();
        let (request, _) = request.split_once("\r\n\r\n").unwrap();
        stream.write_all(format!("{request}\r\n\r\n").as_bytes()).await.unwrap();
        let head = head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert!(
            head.to_lowercase().contains("connection: close"),
            "the next request would be taken for the body: {head}"
        );
    }
    server.abort();
}

/// Such as clients that wait for `100 Continue` for a moment only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_expects_100_continue_but_sends_at_once_gets_413() {
    let (address, server) = small_server().await;
    let request = large_upload(Length::Announced, MANY_BYTES, "Expect: 100-continue\r\n");
    for attempt in 0..20 {
        let answer = send_then_read(address, &request).await;
        assert_eq!(answer.status, 413, "{attempt}: {answer:?}");
        answer.assert_error(413, "too_large", None);
    }
    server.abort();
}

#[tokio::test]
async fn upload_that_expects_100_continue_is_accepted_with_it() {
    let (address, server) = small_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        String::from_utf8(large_upload(Length::Announced, 500, &format!("Expect: 100-continue\r\n{CLOSE}"))).unwrap();
    let (request, body) = request.split_once("\r\n\r\n").unwrap();
    stream.write_all(format!("{request}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 100 "));
    stream.write_all(body.as_bytes()).await.unwrap();
    timeout(LONG_TIMEOUT, Answer::read(&mut stream)).await.unwrap().data();
    server.abort();
}
