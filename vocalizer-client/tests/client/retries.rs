use std::time::{Duration, Instant};

use vocalizer_client::{Client, Error, ErrorCode, Secret, Upload};

use super::{backend, canned};

const SONGS: &str = r#"{"ok":true,"errors":[],"data":{"songs":[]}}"#;

fn songs() -> String {
    canned::answer("200 OK", "application/json", SONGS)
}

fn unavailable(retry_after: &str) -> String {
    let headers = format!("Content-Type: text/html\r\nRetry-After: {retry_after}\r\n");
    canned::answer_with("503 Service Unavailable", &headers, "<html>")
}

#[tokio::test]
async fn reads_are_retried_after_transient_errors() {
    for first in
        [unavailable("0"), unavailable("Fri, 31 Dec 1999 23:59:59 GMT"), String::new(), "garbage\r\n\r\n".to_owned()]
    {
        let (address, requests) = canned::script(vec![first.clone(), first, songs()]).await;
        assert!(backend::client(&address).songs().await.is_ok());
        assert_eq!(requests.lock().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn retries_are_limited() {
    let (address, requests) = canned::script(vec![unavailable("0")]).await;
    let error = backend::client(&address).songs().await.unwrap_err();
    assert!(matches!(error, Error::WrongType { status: 503, .. }), "{error:?}");
    assert_eq!(requests.lock().unwrap().len(), 4);
    let client = Client::builder(address).with_retries(0, Duration::ZERO).build().unwrap();
    client.songs().await.unwrap_err();
    assert_eq!(requests.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn permanent_errors_are_not_retried() {
    let refusal = r#"{"ok":false,"errors":[{"code":"internal","message":"x"}],"data":null}"#;
    for answer in [canned::answer("500 Oh", "application/json", refusal), canned::answer("200 OK", "text/html", "")] {
        let (address, requests) = canned::script(vec![answer]).await;
        backend::client(&address).songs().await.unwrap_err();
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

/// A failed call may have reached the server.
#[tokio::test]
async fn writes_are_not_retried() {
    let (address, requests) = canned::script(vec![unavailable("0")]).await;
    let client = backend::client(&address);
    let password = Secret::new("correct horse".to_owned());
    let id = vocalizer_client::SongId::random();
    client.login("ada", &password).await.unwrap_err();
    client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap_err();
    client.delete(id).await.unwrap_err();
    client.rename(id, "x").await.unwrap_err();
    client.retry(id).await.unwrap_err();
    client.create_token("x", None).await.unwrap_err();
    let requests = requests.lock().unwrap();
    let writes = requests.iter().filter(|request| !request.starts_with("GET "));
    assert_eq!(writes.count(), 6, "{requests:?}");
}

#[tokio::test]
async fn retry_after_is_respected() {
    let (address, _) = canned::script(vec![unavailable("1"), songs()]).await;
    let start = Instant::now();
    backend::client(&address).songs().await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn long_retry_after_returns_error_at_once() {
    let refusal = r#"{"ok":false,"errors":[{"code":"rate_limited","message":"slow down"}],"data":null}"#;
    let headers = "Content-Type: application/json\r\nRetry-After: 3600\r\n";
    let limited = canned::answer_with("429 Too Many Requests", headers, refusal);
    let (address, requests) = canned::script(vec![limited]).await;
    let error = backend::client(&address).songs().await.unwrap_err();
    assert!(error.has_code(ErrorCode::RateLimited) && error.is_transient(), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(requests.lock().unwrap().len(), 1);
}
