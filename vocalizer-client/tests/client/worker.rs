//! The remote backend and the remote queue, against fake servers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vocalizer_api::causes::chain;
use vocalizer_api::hash::SongHash;
use vocalizer_api::part::{Stem, StemFormats};
use vocalizer_api::{FailureReason, Provenance};
use vocalizer_client::Client;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_core::ports::{
    Backend as _, BackendError, Blob, BlobError, Failure, Job, JobPayload, JobQueue as _, QueueError, ResultWriter,
    StemSet, Stems, Wanted,
};

use super::canned::{answer_with, script};

const TOKEN: &str = "the-token-of-the-tests-worker";

/// A received request: method and path, token, announced length and body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Received {
    what: String,
    token: String,
    announced: Option<u64>,
    body: Bytes,
}

/// A response: status, content type and body.
type Reply = (u16, &'static str, String);

/// Starts a server that sends these responses in order, and repeats the last one.
async fn server(answers: Vec<Reply>) -> (String, Arc<Mutex<Vec<Received>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (received, answers) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::new(Mutex::new(VecDeque::from(answers))));
    let seen = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
                async move {
                    let (head, body) = request.into_parts();
                    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
                    let received = Received {
                        what: format!("{} {}", head.method, head.uri),
                        token: header(AUTHORIZATION).unwrap_or_default(),
                        announced: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
                        body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
                    };
                    seen.lock().unwrap().push(received);
                    let mut answers = answers.lock().unwrap();
                    let (status, kind, body) =
                        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
                    let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
                    let answer = answer.header(LOCATION, "http://elsewhere.invalid/");
                    Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(body))).unwrap())
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (format!("http://{address}/below/this"), received)
}

fn success(data: Value) -> Reply {
    (200, "application/json", json!({"ok": true, "errors": [], "data": data}).to_string())
}

fn refusal(status: u16, message: &str) -> Reply {
    let errors = json!([{"code": "invalid", "message": message}]);
    (status, "application/json", json!({"ok": false, "errors": errors, "data": null}).to_string())
}

fn page(status: u16) -> Reply {
    (status, "text/html", "<h1>nginx</h1>".to_owned())
}

fn client(address: &str) -> Client {
    let builder = Client::builder(address).with_token(TOKEN.to_owned()).with_timeout(Duration::from_secs(60));
    builder.with_retries(2, Duration::from_millis(1)).build().unwrap()
}

fn backend(address: &str) -> RemoteBackend {
    RemoteBackend::over(client(address), Arc::new(FakeWriter))
}

/// A fake result writer that concatenates the stems, in small chunks.
struct FakeWriter;

#[async_trait]
impl ResultWriter for FakeWriter {
    async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError> {
        let mut all = Vec::new();
        for stem in Stem::FOUR {
            let mut blob = stems.open(stem).await?;
            while let Some(chunk) = blob.next_chunk().await? {
                all.extend_from_slice(&chunk);
            }
        }
        let pieces: Vec<_> = all.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Blob::new(all.len() as u64, "", stream::iter(pieces)))
    }
}

fn stems() -> Stems {
    let stem = |byte| Bytes::from(vec![byte; 5000]);
    Stems { drums: stem(b'd'), bass: stem(b'b'), other: stem(b'o'), vocals: stem(b'v') }
}

/// Summarizes the result of a call.
fn outcome<T: std::fmt::Debug>(reply: Result<T, BackendError>) -> String {
    match reply {
        Ok(reply) => format!("{reply:?}"),
        Err(BackendError::Refused { why }) => format!("refused: {why}"),
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn statuses_map_to_backend_errors() {
    let hash = SongHash::of(b"a song");
    let job = Job::new(hash, JobPayload::Stored);
    let unavailable = "the backend is unavailable";
    let token = "rejected the worker token";
    // The results of begin, deliver, source and fail.
    for (reply, expected) in [
        (refusal(401, "no"), [token; 4]),
        (refusal(403, "no"), [token; 4]),
        (page(401), [token; 4]),
        (refusal(404, "there is no such song"), ["Yes", "Gone", "None", "()"]),
        (refusal(410, "deleted"), ["Gone", "Gone", "None", unavailable]),
        (page(404), ["Yes", unavailable, unavailable, "()"]),
        (
            refusal(413, "it is too large"),
            ["refused: the server rejected the request with status 413: it is too large"; 4],
        ),
        (refusal(422, "it is no MP3"), ["refused: the server rejected the request with status 422: it is no MP3"; 4]),
        (page(413), ["refused: unexpected response with status 413"; 4]),
        (refusal(408, "too slow"), [unavailable; 4]),
        (refusal(429, "too often"), [unavailable; 4]),
        (refusal(500, "it broke"), [unavailable; 4]),
        (page(502), [unavailable; 4]),
        (refusal(503, "away"), [unavailable; 4]),
        (refusal(507, "full"), [unavailable; 4]),
        (page(302), [unavailable; 4]),
        ((200, "application/json", "{}".to_owned()), [unavailable; 4]),
    ] {
        let what = format!("{reply:?}");
        let (address, _) = server(vec![reply]).await;
        let backend = backend(&address);
        let found = [
            outcome(backend.begin(&hash).await),
            outcome(backend.deliver(&hash, &stems()).await),
            outcome(backend.source(&job).await.map(|song| song.map(|song| song.size_bytes()))),
            outcome(backend.fail(&hash, &FailureReason::new("no")).await),
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{what}: got {found}, expected {expected}");
        }
    }
}

#[tokio::test]
async fn original_backend_gets_only_results() {
    let (address, received) = server(vec![page(404), success(Value::Null)]).await;
    let (hash, backend) = (SongHash::of(b"a song"), backend(&address));
    for _ in 0..3 {
        assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Yes);
        assert_eq!(backend.progress(&hash, 10).await.unwrap(), Wanted::Yes);
        backend.hand_back(&hash).await.unwrap();
        backend.fail(&hash, &FailureReason::new("no")).await.unwrap();
    }
    assert_eq!(backend.deliver(&hash, &stems()).await.unwrap(), Wanted::Yes);
    let received = received.lock().unwrap();
    let paths: Vec<_> = received.iter().map(|received| received.what.as_str()).collect();
    let path = |what: &str| format!("POST /below/this/songs/{hash}/{what}");
    assert_eq!(paths, [path("begin"), path("upload_result")]);
}

#[tokio::test]
async fn worker_without_token_sends_only_results() {
    let (address, received) = server(vec![success(Value::Null)]).await;
    let settings = RemoteSettings::without_token(address);
    let backend = RemoteBackend::new(&settings, Arc::new(FakeWriter)).unwrap();
    let hash = SongHash::of(b"a song");
    assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Yes);
    backend.fail(&hash, &FailureReason::new("no")).await.unwrap();
    assert_eq!(backend.deliver(&hash, &stems()).await.unwrap(), Wanted::Yes);
    assert_eq!(received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn reports_have_path_token_and_body() {
    let (address, received) = server(vec![success(json!({"wanted": "done"}))]).await;
    let (hash, backend) = (SongHash::of(b"a song"), backend(&address));
    assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Done);
    assert_eq!(backend.progress(&hash, 42).await.unwrap(), Wanted::Done);
    backend.hand_back(&hash).await.unwrap();
    backend.fail(&hash, &FailureReason::new("it is \"no\" song")).await.unwrap();
    let received = received.lock().unwrap();
    let sent: Vec<_> = received.iter().map(|received| (received.what.as_str(), received.body.as_ref())).collect();
    let path = |what: &str| format!("POST /below/this/songs/{hash}/{what}");
    let paths = ["begin", "progress", "hand_back", "fail"].map(path);
    let bodies: [&[u8]; 4] = [b"", br#"{"percent":42}"#, b"", br#"{"reason":"it is \"no\" song"}"#];
    let expected: Vec<_> = paths.iter().map(String::as_str).zip(bodies).collect();
    assert_eq!(sent, expected);
    assert!(received.iter().all(|received| received.token == format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn result_has_content_length_and_can_be_resent() {
    let (address, received) = server(vec![refusal(503, "away"), success(Value::Null)]).await;
    let (hash, backend, stems) = (SongHash::of(b"a song"), backend(&address), stems());
    assert!(matches!(backend.deliver(&hash, &stems).await, Err(BackendError::Unavailable(_))));
    assert_eq!(backend.deliver(&hash, &stems).await.unwrap(), Wanted::Yes);
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 2, "the worker retries, not the client");
    assert_eq!(received[0], received[1]);
    assert_eq!((received[0].announced, received[0].body.len()), (Some(20_000), 20_000));
    assert_eq!(received[0].what, format!("POST /below/this/songs/{hash}/upload_result"));
}

#[tokio::test]
async fn only_backend_that_takes_them_gets_flac_and_provenance() {
    /// Writes what the archive would have.
    struct Names;
    #[async_trait]
    impl ResultWriter for Names {
        async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError> {
            let what = format!("{}, provenance: {}", stems.formats(), stems.provenance().is_some());
            Ok(Bytes::from(what).into())
        }
    }
    struct Lossless(Provenance);
    #[async_trait]
    impl StemSet for Lossless {
        async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
            Ok(Bytes::from_static(b"a stem").into())
        }

        fn formats(&self) -> StemFormats {
            StemFormats::Both
        }

        fn provenance(&self) -> Option<&Provenance> {
            Some(&self.0)
        }
    }
    let (hash, stems) = (SongHash::of(b"a song"), Lossless(Provenance::new("a model")));
    let delivered = |begun: Reply| {
        let stems = &stems;
        async move {
            let (address, received) = server(vec![begun, success(Value::Null)]).await;
            let backend = RemoteBackend::over(client(&address), Arc::new(Names));
            assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Yes);
            assert_eq!(backend.deliver(&hash, stems).await.unwrap(), Wanted::Yes);
            let received = received.lock().unwrap();
            String::from_utf8(received[1].body.to_vec()).unwrap()
        }
    };
    let current = json!({"wanted": "yes", "lossless": true, "more": 1});
    assert_eq!(delivered(success(current)).await, "both, provenance: true");
    for older in [success(json!({"wanted": "yes"})), (404, "text/html", "<html>".to_owned())] {
        assert_eq!(delivered(older).await, "mp3, provenance: false");
    }
}

#[tokio::test]
async fn unreadable_stems_are_refused_before_sending() {
    struct Lost;
    #[async_trait]
    impl StemSet for Lost {
        async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
            Err(BlobError::Unavailable("the disk is gone".into()))
        }
    }
    let (address, received) = server(vec![success(Value::Null)]).await;
    let reply = outcome(backend(&address).deliver(&SongHash::of(b"a song"), &Lost).await);
    assert!(reply.starts_with("refused") && reply.contains("the disk is gone"), "{reply}");
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connection_refused_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let hash = SongHash::of(b"a song");
    let (backend, queue) = (backend(&address), RemoteQueue::over(client(&address)));
    assert!(matches!(backend.begin(&hash).await, Err(BackendError::Unavailable(_))));
    assert!(matches!(backend.deliver(&hash, &stems()).await, Err(BackendError::Unavailable(_))));
    assert!(matches!(queue.lease().await, Err(QueueError::Unavailable(_))));
}

async fn fetch(answers: Vec<String>, song: &[u8]) -> (Result<Vec<u8>, String>, usize) {
    let (address, requests) = script(answers).await;
    let job = Job::new(SongHash::of(song), JobPayload::Stored);
    let mut all = Vec::new();
    let mut song = match backend(&address).source(&job).await {
        Ok(song) => song.unwrap(),
        Err(error) => return (Err(chain(&error)), requests.lock().unwrap().len()),
    };
    let outcome = loop {
        match song.next_chunk().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) => break Ok(all),
            Err(error) => break Err(chain(&error)),
        }
    };
    let received = requests.lock().unwrap().len();
    (outcome, received)
}

const BYTES: &str = "Content-Type: application/octet-stream\r\n";

/// A response that ends early.
fn truncated(headers: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{BYTES}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn interrupted_source_resumes_and_is_hashed() {
    let etag = "ETag: \"10\"\r\n";
    let rest = answer_with("206 Partial Content", &format!("{BYTES}{etag}Content-Range: bytes 4-9/10\r\n"), "456789");
    let (song, received) = fetch(vec![truncated(etag, 10, "0123"), rest], b"0123456789").await;
    assert_eq!((song.unwrap(), received), (b"0123456789".to_vec(), 2));
    // Without an ETag, changes could not be detected.
    let (song, received) = fetch(vec![truncated("", 10, "0123")], b"0123456789").await;
    assert!(song.unwrap_err().contains("unavailable"));
    assert_eq!(received, 1);
}

#[tokio::test]
async fn wrong_hash_is_an_error_at_end() {
    let whole = answer_with("200 OK", BYTES, "0123456789");
    assert_eq!(fetch(vec![whole.clone()], b"0123456789").await.0.unwrap(), b"0123456789");
    let reply = fetch(vec![whole], b"another song").await.0.unwrap_err();
    assert!(reply.contains("damaged"), "{reply}");
}

#[tokio::test]
async fn source_requires_audio_and_length() {
    let (reply, _) = fetch(vec![answer_with("200 OK", "Content-Type: text/html\r\n", "<h1>Log in</h1>")], b"x").await;
    assert!(reply.unwrap_err().contains("text/html"));
    let endless = format!("HTTP/1.1 200 OK\r\n{BYTES}Connection: close\r\n\r\n0123");
    let (reply, _) = fetch(vec![endless], b"0123").await;
    assert!(reply.unwrap_err().contains("size of the song"));
}

#[tokio::test]
async fn inline_song_is_not_downloaded() {
    let (address, received) = server(vec![refusal(500, "no")]).await;
    let job = Job::new(SongHash::of(b"a song"), JobPayload::Inline(Bytes::from_static(b"a song")));
    let mut song = backend(&address).source(&job).await.unwrap().unwrap();
    assert_eq!(song.next_chunk().await.unwrap().unwrap(), "a song");
    assert!(received.lock().unwrap().is_empty());
}

const LEASE: &str = "00000000-0000-4000-8000-000000000000";

fn job(hash: &str, visibility_ms: u64) -> Reply {
    success(json!({"job": {"lease": LEASE, "hash": hash, "attempt": 3, "visibility_ms": visibility_ms}}))
}

#[tokio::test]
async fn lease_waits_for_job() {
    let hash = SongHash::of(b"a song");
    let (address, received) = server(vec![success(json!({"job": null})), job(&hash.to_string(), 60_000)]).await;
    let lease = RemoteQueue::over(client(&address)).with_wait(Duration::from_secs(7)).lease().await.unwrap();
    assert_eq!((lease.job().hash, lease.attempt(), lease.visibility()), (hash, 3, Duration::from_secs(60)));
    assert!(matches!(lease.job().payload, JobPayload::Stored));
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 2);
    assert!(
        received
            .iter()
            .all(|received| received.what == "POST /below/this/jobs/lease" && received.body == r#"{"wait_s":7}"#)
    );
}

#[tokio::test]
async fn lease_can_be_extended_and_settled() {
    let hash = SongHash::of(b"a song").to_string();
    let day = Duration::from_secs(24 * 60 * 60);
    for (failure, body) in [
        (None, ""),
        (Some(Failure::Retry { after: Duration::from_millis(1500) }), r#"{"after_ms":1500,"kind":"retry"}"#),
        (Some(Failure::Later { after: day * 365 }), r#"{"after_ms":86400000,"kind":"later"}"#),
        (Some(Failure::Never { reason: FailureReason::new("no") }), r#"{"kind":"never","reason":"no"}"#),
    ] {
        let (address, received) = server(vec![job(&hash, 60_000), success(Value::Null)]).await;
        let mut lease = RemoteQueue::over(client(&address)).lease().await.unwrap();
        lease.extend().await.unwrap();
        let what = if failure.is_some() { "fail" } else { "acknowledge" };
        match failure {
            None => lease.acknowledge().await.unwrap(),
            Some(failure) => lease.fail(failure).await.unwrap(),
        }
        let received = received.lock().unwrap();
        let sent: Vec<_> =
            received[1..].iter().map(|received| (received.what.as_str(), received.body.as_ref())).collect();
        let (extended, settled) =
            (format!("POST /below/this/jobs/{LEASE}/extend"), format!("POST /below/this/jobs/{LEASE}/{what}"));
        assert_eq!(sent, [(extended.as_str(), &b""[..]), (settled.as_str(), body.as_bytes())]);
    }
}

#[tokio::test]
async fn conflict_means_lease_lost() {
    let hash = SongHash::of(b"a song").to_string();
    for (reply, is_lost) in [(refusal(409, "not held"), true), (refusal(503, "away"), false), (page(409), true)] {
        for way in 0..3 {
            let (address, received) = server(vec![job(&hash, 60_000), reply.clone()]).await;
            let mut lease = RemoteQueue::over(client(&address)).lease().await.unwrap();
            let outcome = match way {
                0 => lease.extend().await,
                1 => lease.acknowledge().await,
                _ => lease.fail(Failure::Later { after: Duration::ZERO }).await,
            };
            assert_eq!(matches!(outcome, Err(QueueError::LeaseLost)), is_lost, "{reply:?}: {outcome:?}");
            assert!(outcome.is_err());
            assert_eq!(received.lock().unwrap().len(), 2, "a response is not retried");
        }
    }
}

#[tokio::test]
async fn queue_errors_are_unavailable_with_cause() {
    for (reply, expected) in [
        (refusal(401, "no"), "rejected the worker token"),
        (refusal(404, "no resource at this path"), "no resource at this path"),
        (job("no hash", 60_000), "malformed response"),
        (page(502), "502"),
    ] {
        let (address, _) = server(vec![reply]).await;
        let error = RemoteQueue::over(client(&address)).lease().await.err().unwrap();
        assert!(matches!(error, QueueError::Unavailable(_)) && chain(&error).contains(expected), "{}", chain(&error));
    }
}

#[tokio::test]
async fn settings_hide_secrets_and_reject_invalid_addresses() {
    let settings = |url: &str| RemoteSettings::new(url, "hunter2");
    for url in ["no address", "ftp://host/", "http://ada:hunter2@host/", "http://host/?x=hunter2"] {
        assert!(!format!("{:?}", settings(url)).contains("hunter2"));
        assert!(
            RemoteQueue::new(&settings(url)).is_err()
                && RemoteBackend::new(&settings(url), Arc::new(FakeWriter)).is_err()
        );
    }
    let backend = RemoteBackend::new(&settings("http://host/below"), Arc::new(FakeWriter)).unwrap();
    let queue = RemoteQueue::new(&settings("http://host/below")).unwrap();
    assert!(!format!("{backend:?} {queue:?}").contains("hunter2"));
    let settings = settings("https://host/").with_root_certificate_pem("no certificate");
    assert!(RemoteQueue::new(&settings).is_err());
}
