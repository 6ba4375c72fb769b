use std::error::Error as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vocalizer_client::{Client, Error, ErrorCode, Part, SongId};

use super::{backend, canned};

async fn songs_from(status: &str, content_type: &str, body: &str) -> Error {
    let server = canned::server(canned::answer(status, content_type, body), b"").await;
    backend::client(&server).songs().await.unwrap_err()
}

async fn part_from(status: &str, content_type: &str, body: &str) -> Error {
    let server = canned::server(canned::answer(status, content_type, body), b"").await;
    backend::client(&server).download(SongId::random(), Part::Song).await.unwrap_err()
}

const REFUSAL: &str = r#"{"ok":false,"errors":[{"code":"rate_limited","message":"slow\u001b[2J down"}],"data":null}"#;

#[tokio::test]
async fn html_instead_of_json_returns_wrong_type() {
    for (status, number) in
        [("200 OK", 200), ("502 Bad Gateway", 502), ("413 Content Too Large", 413), ("301 Moved", 301)]
    {
        let error = songs_from(status, "text/html; charset=utf-8", "<html>").await;
        assert!(
            matches!(&error, Error::WrongType { status, found, .. } if *status == number && found.starts_with("text/html")),
            "{error:?}"
        );
        assert_eq!(error.is_transient(), number == 502);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target =
        canned::server(canned::answer("200 OK", "application/json", r#"{"ok":true,"data":{"songs":[]}}"#), b"").await;
    assert!(backend::client(&target).songs().await.is_ok());
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}/songs/\r\nContent-Length: 0\r\n\r\n");
    let error = backend::client(&canned::server(redirect, b"").await).songs().await.unwrap_err();
    assert!(matches!(error, Error::WrongType { status: 307, .. }), "{error:?}");
}

#[tokio::test]
async fn invalid_json_returns_malformed() {
    for body in [
        "",
        "null",
        "{}",
        "[]",
        r#"{"ok":true}"#,
        r#"{"ok":true,"data":null}"#,
        r#"{"ok":true,"data":{"songs":[{"id":7}]}}"#,
        r#"{"ok":true,"errors":[{"code":"x","message":"y"}],"data":{"songs":[]}}"#,
        r#"{"ok":true,"data":{"songs":[]}} trailing"#,
    ] {
        let error = songs_from("200 OK", "application/json", body).await;
        assert!(matches!(error, Error::Malformed { status: 200, .. }), "{body}: {error:?}");
        assert!(error.source().is_some());
    }
    let error = songs_from("500 Oh", "application/json", r#"{"ok":true,"data":{"songs":[]}}"#).await;
    assert!(matches!(error, Error::Malformed { status: 500, .. }), "{error:?}");
}

#[tokio::test]
async fn error_envelope_counts_with_any_status() {
    for status in ["200 OK", "429 Too Many Requests"] {
        let error = songs_from(status, "Application/JSON", REFUSAL).await;
        assert!(error.has_code(ErrorCode::RateLimited), "{error:?}");
        assert!(error.to_string().contains("slow [2J down"), "{error}");
        let error = part_from(status, "application/json", REFUSAL).await;
        assert!(error.has_code(ErrorCode::RateLimited), "{error:?}");
    }
    let error = songs_from("400 Bad Request", "application/json", r#"{"ok":false}"#).await;
    assert_eq!(error.to_string(), "the server rejected the request with status 400");
}

#[tokio::test]
async fn unknown_error_codes_are_accepted() {
    let body = r#"{"ok":false,"errors":[{"code":"teapot","message":"short and stout"}]}"#;
    assert!(songs_from("418 Teapot", "application/json", body).await.has_code(ErrorCode::Unknown));
}

#[tokio::test]
async fn endless_response_stops_at_limit() {
    let endless = canned::server("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", &[b' '; 4096]).await;
    let client = Client::builder(endless).with_max_answer_bytes(100_000).build().unwrap();
    let error = client.songs().await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 100_000 }), "{error:?}");
}

#[tokio::test]
async fn unexpected_download_type_is_rejected() {
    let error = part_from("200 OK", "text/html", "<html>").await;
    assert!(matches!(error, Error::WrongType { expected: "audio", .. }), "{error:?}");
    let error = part_from("404 Not Found", "audio/mpeg", "noise").await;
    assert!(matches!(error, Error::WrongType { status: 404, .. }), "{error:?}");
    let error = part_from("202 Accepted", "application/json", r#"{"ok":true,"data":null}"#).await;
    assert!(matches!(error, Error::Malformed { status: 202, .. }), "{error:?}");
}

#[tokio::test]
async fn invalid_http_returns_transport_error() {
    for said in
        ["", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"]
    {
        let error = backend::client(&canned::server(said, b"").await).songs().await.unwrap_err();
        assert!(matches!(error, Error::Transport(_)) && error.is_transient(), "{said:?}: {error:?}");
    }
}

#[tokio::test]
async fn connection_refused_does_not_leak_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = backend::client(&format!("http://{address}")).songs().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(error.to_string(), "the connection to the server failed");
}

#[tokio::test]
async fn unresponsive_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder(address).with_timeout(Duration::from_millis(50)).build().unwrap();
    assert!(matches!(client.songs().await.unwrap_err(), Error::TimedOut));
    assert!(matches!(client.download(SongId::random(), Part::Song).await.unwrap_err(), Error::TimedOut));
}

#[tokio::test]
async fn stalled_download_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Wait for the request, which fits into one read; a response before it would be invalid.
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        let start = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 100\r\n\r\nbegun";
        stream.write_all(start).await.unwrap();
        std::future::pending::<()>().await;
    });
    let client = Client::builder(address).with_timeout(Duration::from_secs(1)).build().unwrap();
    let error = client.download_bytes(SongId::random(), Part::Song, 1000).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error:?}");
}
