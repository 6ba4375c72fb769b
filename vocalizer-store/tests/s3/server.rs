//! A local S3 server with injected faults.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use vocalizer_core::ports::{Blob, BlobKey, BlobStore};
use vocalizer_store::s3::{S3Blobs, S3Error, S3Settings};

pub(crate) const KEY_ID: &str = "vocalizer";
pub(crate) const SECRET: &str = "correct horse";

/// A fault injected into a request.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The request succeeds.
    None,
    /// The response is an error with this status and code.
    Error(u16, &'static str),
    /// The response is a web page, as from a server's console.
    Page,
    /// The response breaks off after this many bytes of its body.
    Cut(usize),
    /// The response has another `ETag`, or none.
    Tagged(Option<&'static str>),
}

type Faults = Box<dyn Fn(&Method, &Uri) -> Fault + Send + Sync>;

struct State {
    s3: S3Service,
    faults: Mutex<Faults>,
    /// `<method> <path and query>` of every request.
    requests: Mutex<Vec<String>>,
    /// Bytes of request bodies being received, now and at most.
    held_bytes: AtomicU64,
    most_held_bytes: AtomicU64,
}

/// The server stops with the runtime of its test.
pub(crate) struct Server {
    root: TempDir,
    work: TempDir,
    endpoint: String,
    state: Arc<State>,
}

impl Server {
    /// Starts a server with a bucket `songs`.
    pub(crate) fn start() -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("songs")).unwrap();
        let mut s3 = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        s3.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let state = Arc::new(State {
            s3: s3.build(),
            faults: Mutex::new(Box::new(|_, _| Fault::None)),
            requests: Mutex::default(),
            held_bytes: AtomicU64::new(0),
            most_held_bytes: AtomicU64::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(TcpListener::from_std(listener).unwrap(), Arc::clone(&state)));
        Self { root, work: TempDir::new().unwrap(), endpoint, state }
    }

    /// Sets the faults of future requests.
    pub(crate) fn set_faults(&self, faults: impl Fn(&Method, &Uri) -> Fault + Send + Sync + 'static) {
        *self.state.faults.lock().unwrap() = Box::new(faults);
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }

    /// Maximum number of upload bytes in progress at once.
    pub(crate) fn most_held_bytes(&self) -> u64 {
        self.state.most_held_bytes.load(Ordering::SeqCst)
    }

    /// The server's data folder, with multipart uploads at the top level.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    pub(crate) async fn open(&self, settings: S3Settings) -> Result<S3Blobs, S3Error> {
        S3Blobs::open(settings, self.work()).await
    }

    /// Opens a store with this retry time.
    pub(crate) async fn blobs(&self, patience: Duration) -> S3Blobs {
        let settings = S3Settings::parse("s3://songs/of/tests", self.variables()).unwrap();
        self.open(settings.with_patience(patience)).await.unwrap()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let answers = service_fn(move |request| answer(Arc::clone(&state), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answers));
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<s3s::Body>, Infallible> {
    state.requests.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
    let len = request.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok()).unwrap_or(0);
    let held_bytes = state.held_bytes.fetch_add(len, Ordering::SeqCst) + len;
    state.most_held_bytes.fetch_max(held_bytes, Ordering::SeqCst);
    let fault = (state.faults.lock().unwrap())(request.method(), request.uri());
    let answer = match fault {
        Fault::Error(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>simulated error</Message></Error>");
            // A client that gets a response before its body is complete may see only a closed connection.
            let _ = request.into_body().collect().await;
            let mut answer = Response::new(s3s::Body::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        }
        Fault::Page => {
            let mut answer =
                Response::new(s3s::Body::from("<!doctype html><html><title>Console</title></html>".to_owned()));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            answer
        }
        Fault::None => called(&state, request).await,
        Fault::Cut(len) => {
            let (head, body) = called(&state, request).await.into_parts();
            let whole = body.collect().await.unwrap().to_bytes();
            Response::from_parts(head, cut(whole, len))
        }
        Fault::Tagged(e_tag) => {
            let mut answer = called(&state, request).await;
            answer.headers_mut().remove(ETAG);
            answer.headers_mut().extend(e_tag.map(|e_tag| (ETAG, HeaderValue::from_static(e_tag))));
            answer
        }
    };
    state.held_bytes.fetch_sub(len, Ordering::SeqCst);
    Ok(answer)
}

async fn called(state: &State, request: Request<Incoming>) -> Response<s3s::Body> {
    state.s3.call(request.map(s3s::Body::from)).await.unwrap()
}

/// Returns the first bytes of a body, then closes the connection after a short delay.
fn cut(whole: Bytes, len: usize) -> s3s::Body {
    let first = whole.slice(..len.min(whole.len()));
    let frames = stream::unfold(Some(first), |left| async move {
        match left {
            Some(first) if !first.is_empty() => Some((Ok(Frame::data(first)), Some(Bytes::new()))),
            Some(_) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
            }
            None => None,
        }
    });
    s3s::Body::http_body_unsync(StreamBody::new(frames))
}

/// Returns bytes that are unique for this length and seed.
pub(crate) fn bytes(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ (at >> 16) as u8 ^ seed).collect()
}

pub(crate) async fn put(blobs: &S3Blobs, key: &BlobKey, bytes: &Bytes) {
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes.clone()).await.unwrap();
    assert_eq!(writer.commit(key).await.unwrap(), bytes.len() as u64);
}

pub(crate) async fn read_rest(blob: &mut Blob) -> Bytes {
    let mut whole = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.unwrap() {
        whole.extend_from_slice(&chunk);
    }
    whole.into()
}

pub(crate) async fn get(blobs: &S3Blobs, key: &BlobKey) -> Option<Bytes> {
    match blobs.open(key, None).await.unwrap() {
        Some(mut blob) => Some(read_rest(&mut blob).await),
        None => None,
    }
}
