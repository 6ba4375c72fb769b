//! A small backend that speaks the contract: accounts, cookies, uploads, songs that are split a little more each time
//! somebody looks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;
use url::form_urlencoded;
use vocalizer_client::{ApiError, Client, ErrorCode, SongId, SongStatus, SongView};
use vocalizer_core::account::UserId;
use vocalizer_core::api::{Envelope, SongData, SongsData};
use vocalizer_core::song::SongHash;

/// What the backend knows, for a test to look at and to change.
#[derive(Default)]
pub(crate) struct Backend {
    users: HashMap<String, (UserId, String)>,
    sessions: HashMap<String, UserId>,
    pub(crate) songs: Vec<Stored>,
    /// Looks at songs that are answered with a 503 before anything else.
    pub(crate) outages: u32,
    /// How often a song was looked at.
    pub(crate) looks: u32,
}

pub(crate) struct Stored {
    pub(crate) view: SongView,
    pub(crate) file_name: String,
    pub(crate) bytes: Bytes,
}

pub(crate) type Shared = Arc<Mutex<Backend>>;

/// Starts a backend of its own for a test, with a client for it below a path, as behind a proxy.
pub(crate) async fn start() -> (Shared, Client) {
    let backend = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(&backend);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = Arc::clone(&shared);
            let service = service_fn(move |request| {
                let backend = Arc::clone(&backend);
                async move { Ok::<_, Infallible>(answer(backend, request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (backend, client(&format!("http://{address}/vocalizer")))
}

/// A client that polls at once.
pub(crate) fn client(address: &str) -> Client {
    let moment = std::time::Duration::from_millis(1);
    Client::builder(address).with_polling(moment, moment).build().unwrap()
}

type Answer = Response<Full<Bytes>>;

async fn answer(backend: Shared, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/vocalizer/") else { return failure(404, ErrorCode::NotFound) };
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let session = header(COOKIE).strip_prefix("session=").map(str::to_owned);
    let user = session.as_ref().and_then(|session| backend.lock().unwrap().sessions.get(session).copied());
    let segments: Vec<_> = path.split('/').collect();
    match (&head.method, segments.as_slice()) {
        (&Method::POST, ["auth", "logout"]) => {
            session.and_then(|session| backend.lock().unwrap().sessions.remove(&session));
            success(())
        }
        (&Method::POST, ["auth", action]) => {
            let body = body.collect().await.unwrap().to_bytes();
            let fields: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
            account(&mut backend.lock().unwrap(), action, &fields)
        }
        (&Method::POST, ["songs", "upload"]) => match read_upload(&header(CONTENT_TYPE), body).await {
            Ok((title, file_name, bytes)) => {
                let hash = SongHash::of(&bytes).to_string();
                let (id, status) = (SongId::random(), SongStatus::Uploaded);
                let view = SongView { id, title, hash, uploader_id: user, status, failure_reason: None };
                backend.lock().unwrap().songs.push(Stored { view: view.clone(), file_name, bytes });
                success(SongData { song: view })
            }
            Err(_) => failure(400, ErrorCode::Malformed),
        },
        (method, ["songs", rest @ ..]) => songs(&mut backend.lock().unwrap(), method, rest, user),
        _ => failure(404, ErrorCode::NotFound),
    }
}

fn account(backend: &mut Backend, action: &str, fields: &HashMap<String, String>) -> Answer {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let user = match action {
        "register" if field("password1") != field("password2") => return failure(422, ErrorCode::Invalid),
        "register" if backend.users.contains_key(&field("username")) => return failure(409, ErrorCode::Conflict),
        "register" => {
            let id = UserId::random();
            backend.users.insert(field("username"), (id, field("password1")));
            id
        }
        _ => match backend.users.get(&field("username")) {
            Some((id, password)) if *password == field("password") => *id,
            _ => return failure(401, ErrorCode::Unauthenticated),
        },
    };
    let session = UserId::random().to_string();
    let cookie = format!("session={session}; HttpOnly; SameSite=Lax; Path=/");
    backend.sessions.insert(session, user);
    let mut response = success(());
    response.headers_mut().insert(SET_COOKIE, cookie.parse().unwrap());
    response
}

fn songs(backend: &mut Backend, method: &Method, path: &[&str], user: Option<UserId>) -> Answer {
    let may_see = |song: &Stored| song.view.uploader_id.is_none() || song.view.uploader_id == user;
    if let (&Method::GET, [""]) = (method, path) {
        let songs = backend.songs.iter().filter(|song| may_see(song)).map(|song| song.view.clone()).collect();
        return success(SongsData { songs });
    }
    let id = path.first().copied().unwrap_or_default();
    let found = backend.songs.iter().position(|song| may_see(song) && song.view.id.to_string() == id);
    let Some(index) = found else { return failure(404, ErrorCode::NotFound) };
    match (method, path) {
        (&Method::GET, [_]) => {
            backend.looks += 1;
            if backend.outages > 0 {
                backend.outages -= 1;
                return failure(503, ErrorCode::Unavailable);
            }
            let song = &mut backend.songs[index].view;
            let seen = song.clone();
            song.status = match song.status {
                SongStatus::Uploaded => SongStatus::Splitting,
                SongStatus::Splitting => SongStatus::Split,
                status => status,
            };
            success(SongData { song: seen })
        }
        (&Method::DELETE, [_]) => {
            backend.songs.remove(index);
            success(())
        }
        (&Method::GET, [_, file]) => {
            let song = &backend.songs[index];
            let bytes = match file.strip_suffix(".mp3") {
                Some("song") => song.bytes.clone(),
                Some(stem) if song.view.status == SongStatus::Split => format!("the {stem}").into(),
                _ => return failure(404, ErrorCode::NotFound),
            };
            Response::builder().header(CONTENT_TYPE, "audio/mpeg").body(Full::new(bytes)).unwrap()
        }
        _ => failure(404, ErrorCode::NotFound),
    }
}

async fn read_upload(content_type: &str, body: Incoming) -> Result<(String, String, Bytes), multer::Error> {
    let mut form = multer::Multipart::new(body.into_data_stream(), multer::parse_boundary(content_type)?);
    let (mut title, mut file) = (None, None);
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("title") => title = Some(field.text().await?),
            Some("file") => {
                let name = field.file_name().unwrap_or_default().to_owned();
                file = Some((name, field.bytes().await?));
            }
            _ => return Err(multer::Error::IncompleteStream),
        }
    }
    let (Some(title), Some((name, bytes))) = (title, file) else { return Err(multer::Error::IncompleteStream) };
    Ok((title, name, bytes))
}

fn success(data: impl Serialize) -> Answer {
    json(StatusCode::OK, &Envelope::Success(data))
}

fn failure(status: u16, code: ErrorCode) -> Answer {
    let error = ApiError::new(code, format!("the backend says {status}"));
    json(StatusCode::from_u16(status).unwrap(), &Envelope::<()>::failure(error))
}

fn json(status: StatusCode, envelope: &Envelope<impl Serialize>) -> Answer {
    let body = serde_json::to_vec(envelope).unwrap();
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(Full::new(body.into())).unwrap()
}
