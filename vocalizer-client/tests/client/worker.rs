//! A worker's backend and queue, against servers that say what they are told to.

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
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_client::{Client, Secret};
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{
    Backend as _, BackendError, Blob, BlobError, Failure, Job, JobPayload, JobQueue as _, QueueError, ResultWriter,
    StemSet, Stems, Wanted,
};
use vocalizer_core::song::{FailureReason, SongHash};

use super::canned::{answer_with, script};

const TOKEN: &str = "the-token-of-the-tests-worker";

/// What was asked: method and path, the token, the length that was announced, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    what: String,
    token: String,
    announced: Option<u64>,
    body: Bytes,
}

/// A status, a type and a body.
type Said = (u16, &'static str, String);

/// A server that gives these answers one after the other, and the last one again and again.
async fn server(answers: Vec<Said>) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, answers) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(Mutex::new(VecDeque::from(answers))));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
            let service = service_fn(move |request: Request<Incoming>| {
                let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
                async move {
                    let (head, body) = request.into_parts();
                    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
                    let asked = Asked {
                        what: format!("{} {}", head.method, head.uri),
                        token: header(AUTHORIZATION).unwrap_or_default(),
                        announced: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
                        body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
                    };
                    seen.lock().unwrap().push(asked);
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
    (format!("http://{address}/below/this"), asked)
}

fn fine(data: Value) -> Said {
    (200, "application/json", json!({"ok": true, "errors": [], "data": data}).to_string())
}

fn refusal(status: u16, message: &str) -> Said {
    let errors = json!([{"code": "invalid", "message": message}]);
    (status, "application/json", json!({"ok": false, "errors": errors, "data": null}).to_string())
}

fn page(status: u16) -> Said {
    (status, "text/html", "<h1>nginx</h1>".to_owned())
}

fn client(address: &str) -> Client {
    let builder = Client::builder(address).with_token(TOKEN.to_owned()).with_timeout(Duration::from_secs(60));
    builder.with_retries(2, Duration::from_millis(1)).build().unwrap()
}

fn backend(address: &str) -> RemoteBackend {
    RemoteBackend::over(client(address), Arc::new(Packed))
}

/// Packs stems by putting them one after the other, in small pieces.
struct Packed;

#[async_trait]
impl ResultWriter for Packed {
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

/// How a call ended, in short.
fn ended<T: std::fmt::Debug>(said: Result<T, BackendError>) -> String {
    match said {
        Ok(said) => format!("{said:?}"),
        Err(BackendError::Refused { why }) => format!("refused: {why}"),
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn what_a_status_means_to_a_worker() {
    let hash = SongHash::of(b"a song");
    let job = Job { hash, payload: JobPayload::Stored };
    let away = "the backend is unavailable";
    let token = "rejected the worker token";
    // For what is begun, delivered, fetched and failed.
    for (said, expected) in [
        (refusal(401, "no"), [token; 4]),
        (refusal(403, "no"), [token; 4]),
        (page(401), [token; 4]),
        (refusal(404, "there is no such song"), ["Yes", "Gone", "None", "()"]),
        (refusal(410, "deleted"), ["Gone", "Gone", "None", away]),
        (page(404), ["Yes", away, away, "()"]),
        (
            refusal(413, "it is too large"),
            ["refused: the server rejected the request with status 413: it is too large"; 4],
        ),
        (refusal(422, "it is no MP3"), ["refused: the server rejected the request with status 422: it is no MP3"; 4]),
        (page(413), ["refused: unexpected response with status 413"; 4]),
        (refusal(408, "too slow"), [away; 4]),
        (refusal(429, "too often"), [away; 4]),
        (refusal(500, "it broke"), [away; 4]),
        (page(502), [away; 4]),
        (refusal(503, "away"), [away; 4]),
        (refusal(507, "full"), [away; 4]),
        (page(302), [away; 4]),
        ((200, "application/json", "{}".to_owned()), [away; 4]),
    ] {
        let what = format!("{said:?}");
        let (address, _) = server(vec![said]).await;
        let backend = backend(&address);
        let found = [
            ended(backend.begin(&hash).await),
            ended(backend.deliver(&hash, &stems()).await),
            ended(backend.source(&job).await.map(|song| song.map(|song| song.size_bytes()))),
            ended(backend.fail(&hash, &FailureReason::new("no")).await),
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{what}: {found}, and not {expected}");
        }
    }
}

#[tokio::test]
async fn a_backend_of_the_original_system_is_sent_results_alone() {
    let (address, asked) = server(vec![page(404), fine(Value::Null)]).await;
    let (hash, backend) = (SongHash::of(b"a song"), backend(&address));
    for _ in 0..3 {
        assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Yes);
        assert_eq!(backend.progress(&hash, 10).await.unwrap(), Wanted::Yes);
        backend.hand_back(&hash).await.unwrap();
        backend.fail(&hash, &FailureReason::new("no")).await.unwrap();
    }
    assert_eq!(backend.deliver(&hash, &stems()).await.unwrap(), Wanted::Yes);
    let asked = asked.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(|asked| asked.what.as_str()).collect();
    let path = |what: &str| format!("POST /below/this/songs/{hash}/{what}");
    assert_eq!(asked, [path("begin"), path("upload_result")]);
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_report_with() {
    let (address, asked) = server(vec![fine(Value::Null)]).await;
    let settings = RemoteSettings { url: address.parse().unwrap(), token: None, ca: None };
    let backend = RemoteBackend::new(settings, Arc::new(Packed)).unwrap();
    let hash = SongHash::of(b"a song");
    assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Yes);
    backend.fail(&hash, &FailureReason::new("no")).await.unwrap();
    assert_eq!(backend.deliver(&hash, &stems()).await.unwrap(), Wanted::Yes);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn calls_go_below_the_address_with_the_token_and_what_they_say() {
    let (address, asked) = server(vec![fine(json!({"wanted": "done"}))]).await;
    let (hash, backend) = (SongHash::of(b"a song"), backend(&address));
    assert_eq!(backend.begin(&hash).await.unwrap(), Wanted::Done);
    assert_eq!(backend.progress(&hash, 42).await.unwrap(), Wanted::Done);
    backend.hand_back(&hash).await.unwrap();
    backend.fail(&hash, &FailureReason::new("it is \"no\" song")).await.unwrap();
    let asked = asked.lock().unwrap();
    let said: Vec<_> = asked.iter().map(|asked| (asked.what.as_str(), asked.body.as_ref())).collect();
    let path = |what: &str| format!("POST /below/this/songs/{hash}/{what}");
    let paths = ["begin", "progress", "hand_back", "fail"].map(path);
    let bodies: [&[u8]; 4] = [b"", br#"{"percent":42}"#, b"", br#"{"reason":"it is \"no\" song"}"#];
    let expected: Vec<_> = paths.iter().map(String::as_str).zip(bodies).collect();
    assert_eq!(said, expected);
    assert!(asked.iter().all(|asked| asked.token == format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn a_result_is_sent_with_its_length_and_can_be_sent_again() {
    let (address, asked) = server(vec![refusal(503, "away"), fine(Value::Null)]).await;
    let (hash, backend, stems) = (SongHash::of(b"a song"), backend(&address), stems());
    assert!(matches!(backend.deliver(&hash, &stems).await, Err(BackendError::Unavailable(_))));
    assert_eq!(backend.deliver(&hash, &stems).await.unwrap(), Wanted::Yes);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "the worker repeats it, and not the client beneath");
    assert_eq!(asked[0], asked[1]);
    assert_eq!((asked[0].announced, asked[0].body.len()), (Some(20_000), 20_000));
    assert_eq!(asked[0].what, format!("POST /below/this/songs/{hash}/upload_result"));
}

#[tokio::test]
async fn stems_that_cannot_be_packed_are_refused_before_anything_is_sent() {
    struct Lost;
    #[async_trait]
    impl StemSet for Lost {
        async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
            Err(BlobError::Unavailable("the disk is gone".into()))
        }
    }
    let (address, asked) = server(vec![fine(Value::Null)]).await;
    let said = ended(backend(&address).deliver(&SongHash::of(b"a song"), &Lost).await);
    assert!(said.starts_with("refused") && said.contains("the disk is gone"), "{said}");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let hash = SongHash::of(b"a song");
    let (backend, queue) = (backend(&address), RemoteQueue::over(client(&address)));
    assert!(matches!(backend.begin(&hash).await, Err(BackendError::Unavailable(_))));
    assert!(matches!(backend.deliver(&hash, &stems()).await, Err(BackendError::Unavailable(_))));
    assert!(matches!(queue.lease().await, Err(QueueError::Unavailable(_))));
}

async fn fetched(answers: Vec<String>, song: &[u8]) -> (Result<Vec<u8>, String>, usize) {
    let (address, requests) = script(answers).await;
    let job = Job { hash: SongHash::of(song), payload: JobPayload::Stored };
    let mut all = Vec::new();
    let mut song = match backend(&address).source(&job).await {
        Ok(song) => song.unwrap(),
        Err(error) => return (Err(chain(&error)), requests.lock().unwrap().len()),
    };
    let ended = loop {
        match song.next_chunk().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) => break Ok(all),
            Err(error) => break Err(chain(&error)),
        }
    };
    let asked = requests.lock().unwrap().len();
    (ended, asked)
}

const BYTES: &str = "Content-Type: application/octet-stream\r\n";

/// The head of an answer that breaks off.
fn broken(headers: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{BYTES}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn a_song_that_breaks_off_goes_on_where_it_broke_and_is_hashed_as_a_whole() {
    let etag = "ETag: \"10\"\r\n";
    let rest = answer_with("206 Partial Content", &format!("{BYTES}{etag}Content-Range: bytes 4-9/10\r\n"), "456789");
    let (song, asked) = fetched(vec![broken(etag, 10, "0123"), rest], b"0123456789").await;
    assert_eq!((song.unwrap(), asked), (b"0123456789".to_vec(), 2));
    // Without a tag nobody could tell that it is the same.
    let (song, asked) = fetched(vec![broken("", 10, "0123")], b"0123456789").await;
    assert!(song.unwrap_err().contains("unavailable"));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn other_bytes_than_those_of_the_hash_are_an_error_at_the_end() {
    let whole = answer_with("200 OK", BYTES, "0123456789");
    assert_eq!(fetched(vec![whole.clone()], b"0123456789").await.0.unwrap(), b"0123456789");
    let said = fetched(vec![whole], b"another song").await.0.unwrap_err();
    assert!(said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn a_page_where_the_song_belongs_is_none_and_so_is_one_without_a_length() {
    let (said, _) = fetched(vec![answer_with("200 OK", "Content-Type: text/html\r\n", "<h1>Log in</h1>")], b"x").await;
    assert!(said.unwrap_err().contains("text/html"));
    let endless = format!("HTTP/1.1 200 OK\r\n{BYTES}Connection: close\r\n\r\n0123");
    let (said, _) = fetched(vec![endless], b"0123").await;
    assert!(said.unwrap_err().contains("size of the song"));
}

#[tokio::test]
async fn a_song_that_comes_along_with_its_job_is_not_fetched() {
    let (address, asked) = server(vec![refusal(500, "no")]).await;
    let job = Job { hash: SongHash::of(b"a song"), payload: JobPayload::Inline(Bytes::from_static(b"a song")) };
    let mut song = backend(&address).source(&job).await.unwrap().unwrap();
    assert_eq!(song.next_chunk().await.unwrap().unwrap(), "a song");
    assert!(asked.lock().unwrap().is_empty());
}

const LEASE: &str = "00000000-0000-4000-8000-000000000000";

fn job(hash: &str, visibility_ms: u64) -> Said {
    fine(json!({"job": {"lease": LEASE, "hash": hash, "attempt": 3, "visibility_ms": visibility_ms}}))
}

#[tokio::test]
async fn a_queue_without_jobs_is_asked_until_there_is_one() {
    let hash = SongHash::of(b"a song");
    let (address, asked) = server(vec![fine(json!({"job": null})), job(&hash.to_string(), 60_000)]).await;
    let lease = RemoteQueue::over(client(&address)).with_wait(Duration::from_secs(7)).lease().await.unwrap();
    assert_eq!((lease.job().hash, lease.attempt(), lease.visibility()), (hash, 3, Duration::from_secs(60)));
    assert!(matches!(lease.job().payload, JobPayload::Stored));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.what == "POST /below/this/jobs/lease" && asked.body == r#"{"wait_s":7}"#));
}

#[tokio::test]
async fn a_lease_is_held_and_settled_at_its_address() {
    let hash = SongHash::of(b"a song").to_string();
    let day = Duration::from_secs(24 * 60 * 60);
    for (failure, body) in [
        (None, ""),
        (Some(Failure::Retry { after: Duration::from_millis(1500) }), r#"{"after_ms":1500,"kind":"retry"}"#),
        (Some(Failure::Later { after: day * 365 }), r#"{"after_ms":86400000,"kind":"later"}"#),
        (Some(Failure::Never { reason: FailureReason::new("no") }), r#"{"kind":"never","reason":"no"}"#),
    ] {
        let (address, asked) = server(vec![job(&hash, 60_000), fine(Value::Null)]).await;
        let mut lease = RemoteQueue::over(client(&address)).lease().await.unwrap();
        lease.extend().await.unwrap();
        let what = if failure.is_some() { "fail" } else { "acknowledge" };
        match failure {
            None => lease.acknowledge().await.unwrap(),
            Some(failure) => lease.fail(failure).await.unwrap(),
        }
        let asked = asked.lock().unwrap();
        let said: Vec<_> = asked[1..].iter().map(|asked| (asked.what.as_str(), asked.body.as_ref())).collect();
        let (extended, settled) =
            (format!("POST /below/this/jobs/{LEASE}/extend"), format!("POST /below/this/jobs/{LEASE}/{what}"));
        assert_eq!(said, [(extended.as_str(), &b""[..]), (settled.as_str(), body.as_bytes())]);
    }
}

#[tokio::test]
async fn a_conflict_is_a_lost_lease_and_everything_else_is_unavailable() {
    let hash = SongHash::of(b"a song").to_string();
    for (said, is_lost) in [(refusal(409, "not held"), true), (refusal(503, "away"), false), (page(409), true)] {
        for way in 0..3 {
            let (address, asked) = server(vec![job(&hash, 60_000), said.clone()]).await;
            let mut lease = RemoteQueue::over(client(&address)).lease().await.unwrap();
            let ended = match way {
                0 => lease.extend().await,
                1 => lease.acknowledge().await,
                _ => lease.fail(Failure::Later { after: Duration::ZERO }).await,
            };
            assert_eq!(matches!(ended, Err(QueueError::LeaseLost)), is_lost, "{said:?}: {ended:?}");
            assert!(ended.is_err());
            assert_eq!(asked.lock().unwrap().len(), 2, "an answer is an answer");
        }
    }
}

#[tokio::test]
async fn a_queue_that_refuses_or_talks_nonsense_is_unavailable_and_says_why() {
    for (said, expected) in [
        (refusal(401, "no"), "rejected the worker token"),
        (refusal(404, "no resource at this path"), "no resource at this path"),
        (job("no hash", 60_000), "malformed response"),
        (page(502), "502"),
    ] {
        let (address, _) = server(vec![said]).await;
        let error = RemoteQueue::over(client(&address)).lease().await.err().unwrap();
        assert!(matches!(error, QueueError::Unavailable(_)) && chain(&error).contains(expected), "{}", chain(&error));
    }
}

#[tokio::test]
async fn settings_show_no_secret_and_an_address_that_is_none_is_refused() {
    let settings = |url: &str| RemoteSettings {
        url: url.parse().unwrap(),
        token: Some(Secret::new("hunter2".to_owned())),
        ca: None,
    };
    for url in ["ftp://host/", "http://ada:hunter2@host/", "http://host/?x=hunter2"] {
        assert!(!format!("{:?}", settings(url)).contains("hunter2"));
        assert!(
            RemoteQueue::new(settings(url)).is_err() && RemoteBackend::new(settings(url), Arc::new(Packed)).is_err()
        );
    }
    let backend = RemoteBackend::new(settings("http://host/below"), Arc::new(Packed)).unwrap();
    let queue = RemoteQueue::new(settings("http://host/below")).unwrap();
    assert!(!format!("{backend:?} {queue:?}").contains("hunter2"));
    let ca = Some(b"no certificate".to_vec());
    assert!(RemoteQueue::new(RemoteSettings { ca, ..settings("https://host/") }).is_err());
}
