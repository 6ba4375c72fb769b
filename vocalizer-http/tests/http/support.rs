//! A complete server over an in-memory service, and a minimal HTTP client.

use bytes::Bytes;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, duplex};
use vocalizer_core::account::Viewer;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::{MemoryAccounts, MemoryBlobs, MemorySongs, PlainPasswords};
use vocalizer_core::ports::{BlobKey, BlobStore as _, Renderer, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, NoRenderer, Proof, RenderingSettings, SongService, SongSettings};
use vocalizer_core::song::{Song, SongHash, SongId, Title};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;

use super::queue::FakeQueue;

/// The worker token of the tests.
pub(crate) const WORKER_TOKEN: &str = "the-token-of-the-tests-worker";

pub(crate) struct Service {
    pub(crate) server: Server,
    pub(crate) songs: SongService,
    pub(crate) accounts: AccountService,
    pub(crate) queue: FakeQueue,
    repository: Arc<MemorySongs>,
    blobs: MemoryBlobs,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with_open_results(false)
    }

    pub(crate) fn with_open_results(open_upload_result: bool) -> Self {
        Self::with_settings(HttpSettings { open_upload_result, ..HttpSettings::default() })
    }

    /// A service with these settings and the worker tokens of the tests.
    pub(crate) fn with_settings(settings: HttpSettings) -> Self {
        Self::with_renderer(settings, RenderingSettings::default(), Arc::new(NoRenderer))
    }

    /// Like `with_settings`, with a renderer.
    pub(crate) fn with_renderer(
        settings: HttpSettings,
        renderings: RenderingSettings,
        renderer: Arc<dyn Renderer>,
    ) -> Self {
        let songs = SongSettings { limits: Limits::for_testing(), renderings, ..SongSettings::default() };
        Self::with_ports(settings, songs, renderer)
    }

    /// A service that accepts any upload of at most `max_upload_bytes`.
    pub(crate) fn accepting_uploads(max_upload_bytes: u64) -> Self {
        let limits = Limits { max_upload_bytes, ..Limits::for_testing() };
        let songs = SongSettings { limits, ..SongSettings::default() };
        Self::with_ports(HttpSettings::default(), songs, Arc::new(NoRenderer))
    }

    fn with_ports(settings: HttpSettings, song_settings: SongSettings, renderer: Arc<dyn Renderer>) -> Self {
        let (repository, blobs, queue) =
            (Arc::new(MemorySongs::default()), MemoryBlobs::default(), FakeQueue::default());
        let songs =
            SongService::builder(Arc::clone(&repository) as _, Arc::new(blobs.clone()), Arc::new(queue.clone()))
                .with_renderer(renderer)
                .with_settings(song_settings)
                .build();
        let accounts = AccountService::builder(Arc::new(MemoryAccounts::default()), Arc::new(PlainPasswords)).build();
        let worker_tokens = ["the-token-before", WORKER_TOKEN].map(|token| Secret::new(token.to_owned())).to_vec();
        let settings = HttpSettings { worker_tokens, ..settings };
        let server = Server::new(songs.clone(), accounts.clone(), settings).unwrap().without_background();
        Self { server, songs, accounts, queue, repository, blobs }
    }

    /// Adds a waiting song with its job on the queue.
    pub(crate) async fn song(&self, bytes: &'static [u8]) -> (SongHash, SongId) {
        let song = self.admit(bytes).await;
        self.songs.relay().await.unwrap();
        song
    }

    /// Adds a waiting song with its job in the outbox.
    pub(crate) async fn admit(&self, bytes: &'static [u8]) -> (SongHash, SongId) {
        let (hash, id) = (SongHash::of(bytes), SongId::random());
        let mut writer = self.blobs.begin().await.unwrap();
        writer.write(Bytes::from_static(bytes)).await.unwrap();
        writer.commit(&BlobKey::Source(hash)).await.unwrap();
        let title = Title::parse("x", 200).unwrap();
        let mut song = Song::begin(id, title, hash, None, OffsetDateTime::UNIX_EPOCH);
        song.finish_upload().unwrap();
        self.repository.admit(&song).await.unwrap();
        (hash, id)
    }

    /// Returns the song as an anonymous caller sees it.
    pub(crate) async fn view(&self, id: SongId) -> Value {
        serde_json::to_value(self.songs.song(Viewer::Anonymous, id).await.unwrap()).unwrap()
    }

    /// Registers a user and returns a session secret and an API token.
    pub(crate) async fn user(&self) -> (String, String) {
        self.user_named("ada").await
    }

    pub(crate) async fn user_named(&self, name: &str) -> (String, String) {
        let password = Secret::new("correct horse".to_owned());
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let session =
            self.accounts.register(name, [&password, &password], &Secret::default(), address, None).await.unwrap();
        let session = session.secret.expose().clone();
        let proof = Proof::Cookie(Secret::new(session.clone()));
        let caller = self.accounts.authenticate(Some(&proof)).await.unwrap();
        let token = self.accounts.create_token(caller, "x", None).await.unwrap();
        (session, token.secret.expose().clone())
    }

    /// Sends a request on a new connection. `headers` are complete lines.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let (mut client, server) = duplex(64 * 1024);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let exchange = async {
            client.write_all(request(method, path, headers, body).as_bytes()).await.unwrap();
            Answer::read(&mut client).await
        };
        let (served, answer) = tokio::join!(self.server.serve(server, peer), exchange);
        served.unwrap();
        answer
    }

    /// Posts a form with the worker token.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", path, &format!("{}{form_type}", worker()), form).await
    }
}

/// The header with the worker token.
pub(crate) fn worker() -> String {
    format!("Authorization: Bearer {WORKER_TOKEN}\r\n")
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n{body}")
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads a response until the server closes the connection.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = all.split_off(end);
        let head = String::from_utf8(all).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Asserts success and returns `data`.
    pub(crate) fn data(&self) -> Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["ok"], &json["errors"]),
            (200, &Value::Bool(true), &Value::Array(vec![])),
            "{json}"
        );
        json["data"].clone()
    }

    /// Asserts an error with this status, code and field.
    pub(crate) fn assert_error(&self, status: u16, code: &str, field: Option<&str>) {
        let json = self.json();
        let error = &json["errors"][0];
        assert_eq!(
            (self.status, error["code"].as_str(), error["field"].as_str()),
            (status, Some(code), field),
            "{json}"
        );
        assert_eq!((&json["ok"], &json["data"]), (&Value::Bool(false), &Value::Null), "{json}");
    }
}
