//! A fake backend that implements the contract: accounts, cookies and tokens, uploads, songs that advance with each
//! poll, and files with ETags.

mod accounts;
mod songs;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use url::form_urlencoded;
use vocalizer_api::Envelope;
use vocalizer_client::{ApiError, Client, ClientBuilder, ErrorCode, SongView, UserId};

/// The state of the backend, which tests can read and change.
#[derive(Default)]
pub(crate) struct Backend {
    pub(crate) users: HashMap<String, (UserId, String)>,
    sessions: HashMap<String, UserId>,
    tokens: Vec<accounts::Token>,
    pub(crate) songs: Vec<Stored>,
    /// Number of reads of songs that fail with 503 first.
    pub(crate) outages: u32,
    /// The invite that registration requires.
    pub(crate) invite: Option<&'static str>,
    /// Maximum number of songs per page.
    pub(crate) max_page: Option<usize>,
    /// Number of reads of single songs.
    pub(crate) reads: u32,
    /// Number of "not ready" responses before a part is ready.
    pub(crate) unready: u32,
    /// The limits; a server without limits responds with 404.
    pub(crate) limits: Option<Value>,
    /// Number of requests for the limits that fail with 503 first.
    pub(crate) limit_outages: u32,
    /// How the next uploads fail.
    pub(crate) upload_faults: VecDeque<Fault>,
    /// The requests as method and path, and the IDs in uploads.
    pub(crate) log: Vec<String>,
    /// Parts are sent when this many requests for them wait.
    pub(crate) together: Option<Arc<Barrier>>,
}

/// How an upload fails after the server has received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503, and nothing is stored.
    Busy,
    /// The connection ends, and nothing is stored.
    Cut,
    /// The song is stored, but the connection ends before the response.
    LostAnswer,
    /// The song is stored, but a proxy responds with 504.
    LostBehindProxy,
}

impl Backend {
    /// Returns the requests that begin with this, such as `POST`.
    pub(crate) fn requests(&self, start: &str) -> Vec<String> {
        self.log.iter().filter(|line| line.starts_with(start)).cloned().collect()
    }
}

pub(crate) struct Stored {
    pub(crate) view: SongView,
    pub(crate) file_name: String,
    pub(crate) bytes: Bytes,
}

pub(crate) type Shared = Arc<Mutex<Backend>>;

/// Starts a backend below a path, as behind a proxy, and returns it with a client.
pub(crate) async fn start() -> (Shared, Client) {
    let (backend, address) = serve().await;
    (backend, client(&address))
}

/// Starts a backend and returns it with its address.
pub(crate) async fn serve() -> (Shared, String) {
    let backend = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(&backend);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = Arc::clone(&shared);
            let service = service_fn(move |request| {
                let backend = Arc::clone(&backend);
                async move { answer(backend, request).await.ok_or(io::Error::from(io::ErrorKind::ConnectionAborted)) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (backend, format!("http://{address}/vocalizer"))
}

/// A client that polls and retries without pauses.
pub(crate) fn client(address: &str) -> Client {
    builder(address).build().unwrap()
}

pub(crate) fn builder(address: &str) -> ClientBuilder {
    let moment = std::time::Duration::from_millis(1);
    Client::builder(address).with_polling(moment, moment).with_retries(3, moment)
}

type HttpResponse = Response<Full<Bytes>>;

/// A parsed request.
struct Call<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: HashMap<String, String>,
    headers: HeaderMap,
    user: Option<UserId>,
    by_token: bool,
}

impl Call<'_> {
    fn header(&self, name: impl hyper::header::AsHeaderName) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// Returns the response; `None` to cut the connection.
async fn answer(backend: Shared, request: Request<Incoming>) -> Option<HttpResponse> {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/vocalizer/") else {
        return Some(failure(404, ErrorCode::NotFound));
    };
    backend.lock().unwrap().log.push(format!("{} {path}", head.method));
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = path.split('/').collect();
    let mut call = Call { method: head.method, path, query, headers: head.headers, user: None, by_token: false };
    if let Some(secret) = call.header(AUTHORIZATION).strip_prefix("Bearer ") {
        call.by_token = true;
        call.user = backend.lock().unwrap().tokens.iter().find(|token| token.secret == secret).map(|token| token.user);
        if call.user.is_none() {
            return Some(failure(401, ErrorCode::Unauthenticated));
        }
    } else if let Some(session) = call.header(COOKIE).strip_prefix("session=") {
        call.user = backend.lock().unwrap().sessions.get(session).copied();
    }
    if let (&Method::POST, ["songs", "upload"]) = (&call.method, call.path.as_slice()) {
        return songs::upload(&backend, &call, body).await;
    }
    let together = backend.lock().unwrap().together.clone();
    if let (Some(together), ["songs", _, file]) = (together, call.path.as_slice())
        && file.contains('.')
    {
        together.wait().await;
    }
    Some(match (&call.method, call.path.as_slice()) {
        (&Method::GET, ["limits"]) => limits(&mut backend.lock().unwrap()),
        (_, ["auth", ..]) => {
            let fields = fields(&call.header(CONTENT_TYPE), &body.collect().await.unwrap().to_bytes());
            accounts::answer(&mut backend.lock().unwrap(), &call, &fields)
        }
        (_, ["songs", ..]) => {
            let fields = fields(&call.header(CONTENT_TYPE), &body.collect().await.unwrap().to_bytes());
            songs::answer(&mut backend.lock().unwrap(), &call, &fields)
        }
        _ => failure(404, ErrorCode::NotFound),
    })
}

fn limits(backend: &mut Backend) -> HttpResponse {
    if backend.limit_outages > 0 {
        backend.limit_outages -= 1;
        return failure(503, ErrorCode::Unavailable);
    }
    match &backend.limits {
        Some(limits) => success(json!({"limits": limits})),
        None => failure(404, ErrorCode::NotFound),
    }
}

fn fields(content_type: &str, body: &[u8]) -> HashMap<String, String> {
    if content_type != "application/json" {
        return form_urlencoded::parse(body).into_owned().collect();
    }
    let fields: HashMap<String, Value> = serde_json::from_slice(body).unwrap();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn success(data: impl Serialize) -> HttpResponse {
    json(StatusCode::OK, &Envelope::Success(data))
}

fn failure(status: u16, code: ErrorCode) -> HttpResponse {
    let error = ApiError::new(code, format!("error {status} of the fake backend"));
    let mut answer = json(StatusCode::from_u16(status).unwrap(), &Envelope::<()>::failure(error));
    answer.headers_mut().insert(RETRY_AFTER, "0".parse().unwrap());
    answer
}

fn json(status: StatusCode, envelope: &Envelope<impl Serialize>) -> HttpResponse {
    let body = serde_json::to_vec(envelope).unwrap();
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(Full::new(body.into())).unwrap()
}
