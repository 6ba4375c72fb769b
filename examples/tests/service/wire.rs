//! Malformed and hostile HTTP.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use vocalizer_http::settings::Timeouts;

use super::support::{Answer, Browser, Service, Settings};

/// Longer than anything here takes, even on a slow machine.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// A raw connection.
pub(super) struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub(super) async fn connect(service: &Service) -> Self {
        Self { stream: TcpStream::connect(service.address).await.unwrap(), received: Vec::new() }
    }

    /// Sends one request on its own connection and returns the response.
    pub(super) async fn ask(service: &Service, bytes: impl AsRef<[u8]>) -> Answer {
        Self::connect(service).await.send(bytes).await.answer().await
    }

    pub(super) async fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self
    }

    /// Closes the sending side and keeps reading.
    pub(super) async fn close_sending(mut self) -> Self {
        self.stream.shutdown().await.unwrap();
        self
    }

    pub(super) async fn answer(&mut self) -> Answer {
        timeout(TIMEOUT, read_answer(&mut self.stream, &mut self.received)).await.unwrap()
    }

    /// Reads until the server closes the connection.
    pub(super) async fn read_to_end(mut self) -> Vec<u8> {
        // A reset also closes the connection.
        let _ = timeout(TIMEOUT, self.stream.read_to_end(&mut self.received)).await.unwrap();
        self.received
    }

    /// Sends a piece repeatedly until the server closes the connection, and returns everything received.
    pub(super) async fn flood(mut self, piece: &[u8], pause: Duration) -> Vec<u8> {
        let (mut reader, mut writer) = self.stream.split();
        let sending = async {
            while writer.write_all(piece).await.is_ok() {
                sleep(pause).await;
            }
        };
        // A reset also closes the connection.
        let both = async { tokio::join!(reader.read_to_end(&mut self.received), sending) };
        let _ = timeout(TIMEOUT, both).await.unwrap();
        self.received
    }

    /// Floods the connection and returns the response.
    pub(super) async fn until_refused(self, piece: &[u8], pause: Duration) -> Answer {
        let mut received = self.flood(piece, pause).await;
        read_answer(&mut tokio::io::empty(), &mut received).await
    }
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> Answer {
    let head_bytes = loop {
        if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, received).await;
    };
    let head = String::from_utf8(received.drain(..head_bytes).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
        })
        .collect();
    let body_bytes = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    while received.len() < body_bytes {
        more(stream, received).await;
    }
    Answer { status, headers, bytes: received.drain(..body_bytes).collect::<Vec<_>>().into() }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) {
    let len = stream.read_buf(received).await.unwrap();
    assert!(len > 0, "connection closed after {:?}", String::from_utf8_lossy(received));
}

/// Asserts hyper's own error response: a status without a body, then the connection closes.
pub(super) async fn refused_bare(mut raw: Raw, status: u16, what: &str) {
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.bytes.len()), (status, 0), "{what}: {answer:?}");
    assert_eq!(raw.read_to_end().await, b"", "{what}: connection not closed");
}

async fn assert_healthy(service: &Service) {
    assert_eq!(Browser::new(service).get("/livez").await.status, 200);
}

#[tokio::test]
async fn oversized_request_head_returns_431() {
    let service = Service::idle().await;
    let many: String = (0..200).map(|number| format!("X-Header-{number}: x\r\n")).collect();
    for (what, head) in [
        ("one header of 64 KiB", format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(65_536))),
        (
            "a cookie of 64 KiB",
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nCookie: session={}\r\n\r\n", "a".repeat(65_536)),
        ),
        ("200 headers", format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")),
        ("a path of 64 KiB", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(65_536))),
    ] {
        let mut raw = Raw::connect(&service).await;
        // The server may close the connection before it has read everything.
        let _ = raw.stream.write_all(head.as_bytes()).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.bytes.len()), (431, 0), "{what}: {answer:?}");
        raw.read_to_end().await;
    }
    let fits = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(16_384));
    assert_eq!(Raw::ask(&service, fits).await.status, 200);
    assert_healthy(&service).await;
}

#[tokio::test]
async fn endless_request_head_returns_431() {
    let service = Service::idle().await;
    let raw = Raw::connect(&service).await.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n").await;
    let answer = raw.until_refused(&b"X-Again: and again\r\n".repeat(50), Duration::ZERO).await;
    assert_eq!((answer.status, answer.bytes.len()), (431, 0));
    assert_healthy(&service).await;
}

#[tokio::test]
async fn slow_request_head_is_disconnected() {
    let timeouts = Timeouts { head: Duration::from_millis(300), ..Timeouts::default() };
    let service = Service::with(Settings { workers: 0, timeouts, ..Settings::default() }).await;
    for (what, begun) in
        [("nothing", ""), ("a line", "GET /livez HTTP/1.1\r\n"), ("half a header", "GET / HTTP/1.1\r\nHo")]
    {
        let raw = Raw::connect(&service).await.send(begun).await;
        assert_eq!(raw.read_to_end().await, b"", "{what}");
    }
    // Sending a byte now and then does not extend the timeout.
    let raw = Raw::connect(&service).await.send("GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert_eq!(raw.flood(b"x", Duration::from_millis(20)).await, b"");
    assert_eq!(
        Raw::ask(&service, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.status,
        200,
        "other clients are served"
    );
}

#[tokio::test]
async fn slow_form_body_times_out() {
    let silent = Timeouts { body_silence: Duration::from_millis(300), ..Timeouts::default() };
    let trickling = Timeouts { body_grace: Duration::ZERO, ..Timeouts::default() };
    for (timeouts, piece) in [(silent, &b""[..]), (trickling, b"x")] {
        let service = Service::with(Settings { workers: 0, timeouts, ..Settings::default() }).await;
        for path in ["/auth/login", "/auth/register"] {
            let kind = "Content-Type: application/x-www-form-urlencoded";
            let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: 60000\r\n\r\nusername=");
            let mut raw = Raw::connect(&service).await.send(head).await;
            let answer = match piece {
                b"" => raw.answer().await,
                piece => raw.until_refused(piece, Duration::from_millis(100)).await,
            };
            answer.refused(408, "timeout");
        }
        assert_healthy(&service).await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let service = Service::idle().await;
    let two = "GET /songs/ HTTP/1.1\r\nHost: x\r\n\r\nGET /songs/none HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut raw = Raw::connect(&service).await.send(two).await;
    assert_eq!(raw.answer().await.data()["songs"].as_array().unwrap().len(), 0);
    raw.answer().await.refused(404, "not_found");
}

#[tokio::test]
async fn garbage_after_request_returns_400() {
    let service = Service::idle().await;
    let form = "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b";
    for first in ["GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", form] {
        for garbage in
            ["\0\x01\x02\x03\r\n\r\n", "garbage\r\n\r\n", "}{\"a\": 1}\r\n\r\n", "GET\r\n\r\n", " / HTTP/1.1\r\n\r\n"]
        {
            let mut raw = Raw::connect(&service).await.send(format!("{first}{garbage}")).await;
            assert_eq!(raw.answer().await.status, 200, "{first:?}");
            refused_bare(raw, 400, garbage).await;
        }
    }
    assert_healthy(&service).await;
}

#[tokio::test]
async fn invalid_http_returns_400() {
    let service = Service::idle().await;
    for (what, bytes) in [
        ("words", &b"hello there\r\n\r\n"[..]),
        ("an invalid method", b"G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("another version", b"GET / HTTP/3.7\r\n\r\n"),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("a NUL in the path", b"GET /songs/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a space in the path", b"GET /songs/a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
        ("a header without a name", b"GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n"),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nabc"),
        (
            "a length that is not a number",
            b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        ),
        ("a negative length", b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        (
            "a length above 64 bits",
            b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ),
        (
            "two lengths",
            b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
        (
            "an unknown transfer coding",
            b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        ),
        ("chunks in HTTP/1.0", b"POST /auth/logout HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        refused_bare(Raw::connect(&service).await.send(bytes).await, 400, what).await;
    }
    assert_healthy(&service).await;
}

#[tokio::test]
async fn content_length_with_chunks_cannot_smuggle_request() {
    let service = Service::idle().await;
    let kind = "Host: x\r\nContent-Type: application/x-www-form-urlencoded";
    let chunks = "1b\r\nusername=ada&password=wrong\r\n0\r\n\r\n";
    for both in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"] {
        let request = format!(
            "POST /auth/login HTTP/1.1\r\n{kind}\r\n{both}\r\n\r\n{chunks}GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        let mut raw = Raw::connect(&service).await.send(request).await;
        // The chunks count, and bytes after them are not treated as a request.
        raw.answer().await.refused(401, "unauthenticated");
        assert_eq!(raw.read_to_end().await, b"", "{both}");
    }
}

#[tokio::test]
async fn invalid_chunks_return_malformed() {
    let service = Service::idle().await;
    let head =
        "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["zz\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}", "2;{}\r\n", "2\r\n{}xx0\r\n\r\n", "-1\r\n{}\r\n"] {
        let raw = Raw::connect(&service).await.send(format!("{head}{body}")).await;
        let answer = raw.close_sending().await.answer().await;
        answer.refused(400, "malformed");
    }
    assert_healthy(&service).await;
}

#[tokio::test]
async fn wrong_method_returns_405_with_allow() {
    let service = Service::idle().await;
    for (method, path, allow) in [
        ("BREW", "/songs/", "GET, HEAD"),
        ("PROPFIND", "/songs", "GET, HEAD"),
        ("OPTIONS", "/songs/", "GET, HEAD"),
        ("TRACE", "/auth/me", "GET, HEAD"),
        ("get", "/songs/", "GET, HEAD"),
        ("GET", "/songs/upload", "POST"),
        ("PUT", "/songs/4a4c8e7e-8d2f-4a3c-9d3f-0a1b2c3d4e5f", "GET, PATCH, DELETE, HEAD"),
        ("GET", "/auth/login", "POST"),
        ("DELETE", "/livez", "GET, HEAD"),
        ("PATCH", "/no/such/path/at/all", ""),
        ("M-SEARCH", "*", ""),
        ("CONNECT", "example.org:443", ""),
    ] {
        let answer = Raw::ask(&service, format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let (status, code) = if allow.is_empty() { (404, "not_found") } else { (405, "method_not_allowed") };
        answer.refused(status, code);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_healthy(&service).await;
}
