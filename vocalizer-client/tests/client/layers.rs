//! The program's own layers, and spans.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower::limit::ConcurrencyLimitLayer;
use tower::util::{MapErrLayer, MapRequestLayer, MapResponseLayer};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use vocalizer_client::{BoxError, Client, Error, Part, Upload, reqwest};

use super::{backend, canned};

fn counter() -> (Arc<AtomicUsize>, impl Fn(reqwest::Request) -> reqwest::Request + Clone) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    (count, move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        request
    })
}

#[tokio::test]
async fn layer_sees_every_attempt_with_credentials() {
    let unavailable =
        canned::answer_with("503 Service Unavailable", "Content-Type: text/html\r\nRetry-After: 0\r\n", "");
    let me = canned::answer_with(
        "200 OK",
        "Content-Type: application/json\r\n",
        r#"{"ok":true,"errors":[],"data":{"user":null}}"#,
    );
    let (address, requests) = canned::script(vec![unavailable, me]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let client = Client::builder(address)
        .with_token("the-token")
        .with_retries(1, Duration::ZERO)
        .with_layer(MapRequestLayer::new(move |mut request: reqwest::Request| {
            let has_token = request.headers().get("authorization").is_some_and(|value| value == "Bearer the-token");
            log.lock().unwrap().push((request.url().path().to_owned(), has_token));
            request.headers_mut().insert("x-signature", "signed".parse().unwrap());
            request
        }))
        .build()
        .unwrap();
    client.me().await.unwrap();
    let path = "/auth/me".to_owned();
    assert_eq!(*seen.lock().unwrap(), [(path.clone(), true), (path, true)]);
    assert!(requests.lock().unwrap().iter().all(|request| request.contains("x-signature: signed")));
}

#[tokio::test]
async fn layer_applies_to_uploads_downloads_and_clones() {
    let (_backend, address) = backend::serve().await;
    let (count, counting) = counter();
    let client = Client::builder(address)
        .with_layer(ConcurrencyLimitLayer::new(1))
        .with_layer(MapRequestLayer::new(counting))
        .build()
        .unwrap();
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "bytes")).await.unwrap();
    let uploaded = count.swap(0, Ordering::Relaxed);
    assert!(uploaded >= 1);
    let mut download = client.with_session().download(song.id, Part::Song).await.unwrap();
    while download.next_chunk().await.unwrap().is_some() {}
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn later_layer_is_the_outer_one() {
    let (address, _) = canned::script(vec!["HTTP/1.1 500 x\r\n\r\n".to_owned()]).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        MapRequestLayer::new(move |request: reqwest::Request| {
            order.lock().unwrap().push(name);
            request
        })
    };
    let client = Client::builder(address).with_layer(note("first")).with_layer(note("second")).build().unwrap();
    client.me().await.unwrap_err();
    assert_eq!(*order.lock().unwrap(), ["second", "first"]);
}

#[tokio::test]
async fn error_of_a_layer_is_a_transport_error_with_its_cause() {
    let (address, requests) = canned::script(vec![String::new()]).await;
    let refuse = MapErrLayer::new(|_: BoxError| BoxError::from("the gateway is closed"));
    let client = Client::builder(address).with_retries(0, Duration::ZERO).with_layer(refuse).build().unwrap();
    match client.me().await {
        Err(Error::Transport(source)) => assert_eq!(source.to_string(), "the gateway is closed"),
        result => panic!("{result:?}"),
    }
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn layer_can_change_responses() {
    let (address, _) = canned::script(vec![canned::answer_with("200 OK", "", "")]).await;
    let replace = MapResponseLayer::new(|_: reqwest::Response| {
        let json = r#"{"ok":true,"errors":[],"data":{"user":null}}"#;
        let response = http::Response::builder().header("content-type", "application/json").body(json).unwrap();
        reqwest::Response::from(response)
    });
    let client = Client::builder(address).with_layer(replace).build().unwrap();
    assert!(client.me().await.unwrap().is_none());
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn request_is_a_span_without_secrets() {
    let answer = canned::answer_with("418 x", "Content-Type: application/json\r\nX-Request-Id: r-17\r\n", "no JSON");
    let (address, _) = canned::script(vec![answer]).await;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let client = Client::builder(address).with_token("hunter2").build().unwrap();
    let error = client.me().await.unwrap_err();
    assert_eq!(error.request_id(), Some("r-17"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in ["vocalizer_request", "GET", "/auth/me", "418", "r-17"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn requests_carry_the_trace_that_the_program_names() {
    let me = || {
        let body = r#"{"ok":true,"errors":[],"data":{"user":null}}"#;
        canned::answer_with("200 OK", "Content-Type: application/json\r\n", body)
    };
    let (address, requests) = canned::script(vec![me(), me(), me()]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traces = Arc::new(Mutex::new(vec![None, Some("two words\r\nx: y".to_owned()), Some(trace.to_owned())]));
    let client = Client::builder(address).with_traceparent(move || traces.lock().unwrap().pop().flatten());
    let client = client.build().unwrap();
    for _ in 0..3 {
        client.me().await.unwrap();
    }
    let requests = requests.lock().unwrap();
    assert!(requests[0].contains(&format!("traceparent: {trace}")), "{requests:?}");
    // An invalid one, and none.
    assert!(!requests[1].contains("traceparent") && !requests[2].contains("traceparent"), "{requests:?}");
}
