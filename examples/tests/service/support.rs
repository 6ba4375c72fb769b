//! A whole service in the test process with a real database, files, queue and audio code. Only the model is a fake: it
//! returns the same four short stems for every song.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use vocalizer::service::{Blobs, Config, DataDir, Database, Policy, SignIn, Tuning, WebhookPolicy, compose_with};
use vocalizer_core::limits::Limits;
use vocalizer_core::models::Models;
use vocalizer_core::ports::{Stems, ThrottleSettings};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, AccountSettings, RenderingSettings, ResumableSettings, SongService};
use vocalizer_core::trace::Sampling;
use vocalizer_core::worker::{Worker, WorkerSettings};
use vocalizer_http::settings::{AllowedHosts, Caps, Timeouts};
use vocalizer_model::audio::{AudioFormat, Bitrate, StemWriter};

use super::fake_separator::FakeSeparator;

/// The worker token of these tests.
pub(crate) const WORKER_TOKEN: &str = "the-token-of-the-tests-worker";

/// A running service with clients for it. Dropping it stops the service.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) songs: SongService,
    pub(crate) accounts: AccountService,
    pub(crate) separator: Arc<FakeSeparator>,
    dir: Arc<tempfile::TempDir>,
    stop: watch::Sender<bool>,
    ended: Option<oneshot::Receiver<()>>,
}

/// Settings of a service.
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) min_free_bytes: Option<u64>,
    pub(crate) policy: Policy,
    pub(crate) sign_in: SignIn,
    pub(crate) open_upload_result: bool,
    pub(crate) worker_tokens: Vec<String>,
    pub(crate) timeouts: Timeouts,
    /// Session lifetime.
    pub(crate) session: Duration,
    pub(crate) workers: usize,
    pub(crate) worker: WorkerSettings,
    pub(crate) trusted_proxies: Vec<ipnet::IpNet>,
    /// First login delay after failed attempts.
    pub(crate) first_delay: Duration,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) adopt_blobs: bool,
    pub(crate) caps: Caps,
    pub(crate) renderings: RenderingSettings,
    pub(crate) resumable: ResumableSettings,
    /// Whether the server sweeps, and relays what could not be published at once. Most tests call the sweep themselves.
    pub(crate) background: bool,
    pub(crate) models: Models,
    pub(crate) model_timeout: Duration,
    pub(crate) webhooks: WebhookPolicy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits { max_upload_bytes: 1024 * 1024, ..Limits::default() },
            min_free_bytes: None,
            policy: Policy::default(),
            sign_in: SignIn::default(),
            open_upload_result: false,
            worker_tokens: vec![WORKER_TOKEN.to_owned()],
            timeouts: Timeouts::default(),
            session: AccountSettings::default().session,
            workers: 1,
            worker: fast_worker(),
            trusted_proxies: Vec::new(),
            first_delay: ThrottleSettings::per_account().first,
            allowed_hosts: AllowedHosts::Any,
            adopt_blobs: false,
            caps: Caps::default(),
            renderings: RenderingSettings::default(),
            resumable: ResumableSettings::default(),
            background: false,
            models: Models::default(),
            model_timeout: Duration::from_secs(24 * 60 * 60),
            webhooks: WebhookPolicy::default(),
        }
    }
}

/// Worker settings with short intervals.
pub(crate) fn fast_worker() -> WorkerSettings {
    WorkerSettings {
        heartbeat: Duration::from_millis(20),
        first_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(50),
        grace: Duration::from_millis(200),
        ..WorkerSettings::default()
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    /// A service without workers, so that songs stay as they are.
    pub(crate) async fn idle() -> Self {
        Self::with(Settings { workers: 0, ..Settings::default() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), settings).await
    }

    /// A service on a folder that another one may have used.
    pub(crate) async fn over(dir: Arc<tempfile::TempDir>, settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let data = dir.path().join("data");
        let config = Config {
            listen: address,
            database: Database::Sqlite(data.join("vocalizer.db")),
            blobs: Blobs::Files(data.join("blobs")),
            adopt_blobs: settings.adopt_blobs,
            broker: None,
            data,
            worker_tokens: Some(settings.worker_tokens.iter().map(|token| Secret::new(token.clone())).collect()),
            open_upload_result: settings.open_upload_result,
            limits: settings.limits,
            min_free_bytes: settings.min_free_bytes,
            policy: settings.policy.clone(),
            sign_in: settings.sign_in.clone(),
            webhooks: settings.webhooks,
            sweep_interval: Duration::from_secs(600),
            ask_again_after: Duration::from_secs(6 * 60 * 60),
            models: settings.models.clone(),
            model_timeout: settings.model_timeout,
            trusted_proxies: settings.trusted_proxies.clone(),
            allowed_hosts: settings.allowed_hosts.clone(),
            secure_cookies: false,
            caps: settings.caps,
            renderings: settings.renderings,
            resumable: settings.resumable,
            traces: Sampling::default(),
            shutdown_grace: Duration::from_secs(1),
        };
        let data = DataDir::open(&config).unwrap();
        let per_account = ThrottleSettings { first: settings.first_delay, ..ThrottleSettings::per_account() };
        let accounts = AccountSettings { session: settings.session, per_account, ..AccountSettings::default() };
        let tuning = Tuning { timeouts: settings.timeouts, accounts };
        let parts = compose_with(&config, &data, tuning).await.unwrap();
        let separator = Arc::new(FakeSeparator::default());
        let (stop, stopped) = watch::channel(false);
        let worker = Worker::builder_with_clock(
            parts.queue,
            Arc::new(parts.songs.clone()),
            Arc::clone(&separator) as _,
            parts.clock,
        )
        .with_settings(settings.worker)
        .build();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..settings.workers {
            let (worker, stopped) = (worker.clone(), stopped.clone());
            tasks.spawn(async move { worker.run(wait(stopped)).await });
        }
        let server = if settings.background { parts.server } else { parts.server.without_background() };
        tasks.spawn(async move { server.run(listener, wait(stopped)).await.unwrap() });
        let (sender, ended) = oneshot::channel();
        tokio::spawn(async move {
            while tasks.join_next().await.is_some() {}
            drop(data);
            let _ = sender.send(());
        });
        let (songs, accounts) = (parts.songs, parts.accounts);
        Self { address, songs, accounts, separator, dir, stop, ended: Some(ended) }
    }

    /// Stops the service as a signal would, and returns its folder for the next one.
    pub(crate) async fn stop(mut self) -> Arc<tempfile::TempDir> {
        self.stop.send_replace(true);
        if let Some(ended) = self.ended.take() {
            ended.await.unwrap();
        }
        Arc::clone(&self.dir)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Number of temporary files of work in progress.
    pub(crate) fn temporary_files(&self) -> usize {
        let data = self.dir.path().join("data");
        files_below(&data.join("work")).len() + files_below(&data.join("blobs/tmp")).len()
    }

    /// Sorted file names of the cached renditions and peaks.
    pub(crate) fn cached(&self) -> Vec<String> {
        let is_cached = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with("made"));
        let cached = self.stored_files().into_iter().filter(is_cached);
        cached.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("data/vocalizer.db")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.path().join("data/blobs")
    }

    /// All blobs, including unfinished ones.
    pub(crate) fn stored_files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.blobs());
        files.retain(|file| !file.ends_with("blobs/lock") && !file.ends_with("blobs/installation"));
        files
    }

    /// Stores a source file for a hash without a song, last modified `ago` ago.
    pub(crate) fn orphan(&self, hash: &str, ago: Duration) {
        let folder = self.blobs().join(&hash[..2]).join(hash);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("source");
        std::fs::write(&path, b"an orphan").unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - ago).unwrap();
    }

    /// Waits until exactly `count` files are stored: deletion finishes shortly after the response.
    pub(crate) async fn stored(&self, count: usize) -> Vec<PathBuf> {
        for _ in 0..1000 {
            if self.stored_files().len() == count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stored = self.stored_files();
        assert_eq!(stored.len(), count, "{stored:?}");
        stored
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

pub(crate) fn files_below(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// An HTTP client with a cookie store.
#[derive(Clone)]
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
}

/// A complete HTTP response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Bytes,
}

/// Shows the beginning of the body.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.bytes[..self.bytes.len().min(500)];
        let mut answer = f.debug_struct("Answer");
        answer.field("status", &self.status).field("headers", &self.headers);
        answer.field("size_bytes", &self.bytes.len()).field("start", &String::from_utf8_lossy(start)).finish()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
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

    /// Asserts an error with this status and first error code. Returns the message.
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let json = self.json();
        assert_eq!((self.status, json["errors"][0]["code"].as_str()), (status, Some(code)), "{json}");
        assert_eq!((&json["ok"], &json["data"]), (&Value::Bool(false), &Value::Null), "{json}");
        json["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    /// Asserts an error with this status, code and field. Returns the message.
    pub(crate) fn refused_field(&self, status: u16, code: &str, field: &str) -> String {
        let message = self.refused(status, code);
        assert_eq!(self.json()["errors"][0]["field"], field, "{}", self.json());
        message
    }
}

impl Browser {
    pub(crate) fn new(service: &Service) -> Self {
        Self::at(service.url(""))
    }

    /// A client of the server at `base`.
    pub(crate) fn at(base: String) -> Self {
        let http = reqwest::Client::builder().cookie_store(true).tls_backend_preconfigured(no_tls());
        // Tests see redirects.
        let http = http.redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), base }
    }

    /// A second client of the same server, without its cookies.
    pub(crate) fn new_client(&self) -> Self {
        Self::at(self.base.clone())
    }

    /// A client with a registered account.
    pub(crate) async fn registered(service: &Service, name: &str) -> Self {
        let browser = Self::new(service);
        browser.register(name, "correct horse").await.data();
        browser
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).await.unwrap()
    }

    /// Sends a request. Fails if the server exits before it responds.
    pub(crate) async fn try_send(request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, bytes: response.bytes().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        Self::send(self.request(Method::POST, path).form(fields)).await
    }

    pub(crate) async fn register(&self, name: &str, password: &str) -> Answer {
        Self::send(self.register_request(name, password)).await
    }

    pub(crate) fn register_request(&self, name: &str, password: &str) -> RequestBuilder {
        let form = [("username", name), ("password1", password), ("password2", password)];
        self.request(Method::POST, "/auth/register").form(&form)
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        Self::send(self.login_request(name, password)).await
    }

    pub(crate) fn login_request(&self, name: &str, password: &str) -> RequestBuilder {
        self.request(Method::POST, "/auth/login").form(&[("username", name), ("password", password)])
    }

    /// Uploads a song and returns it.
    pub(crate) async fn upload(&self, title: &str, bytes: &[u8]) -> Value {
        self.try_upload(title, bytes.to_vec()).await.data()["song"].clone()
    }

    pub(crate) async fn try_upload(&self, title: &str, bytes: Vec<u8>) -> Answer {
        Self::send(self.upload_request(title, bytes)).await
    }

    pub(crate) fn upload_request(&self, title: &str, bytes: Vec<u8>) -> RequestBuilder {
        let form = Form::new().text("title", title.to_owned()).part("file", Part::bytes(bytes).file_name("song.mp3"));
        self.request(Method::POST, "/songs/upload").multipart(form)
    }

    /// Waits until the song has this status and returns it.
    pub(crate) async fn until(&self, song: &Value, status: &str) -> Value {
        let path = format!("/songs/{}", id(song));
        for _ in 0..5000 {
            let now = self.get(&path).await.data()["song"].clone();
            if now["status"] == status {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the song did not reach status {status}: {:?}", self.get(&path).await);
    }

    /// Posts a result with the worker token.
    pub(crate) async fn result(&self, song: &Value, archive: Vec<u8>) -> Answer {
        Self::send(self.result_request(song, archive)).await
    }

    pub(crate) fn result_request(&self, song: &Value, archive: Vec<u8>) -> RequestBuilder {
        let path = format!("/songs/{}/upload_result", song["hash"].as_str().unwrap());
        self.request(Method::POST, &path).bearer_auth(WORKER_TOKEN).body(archive)
    }
}

/// Sets a client address of its own in `X-Forwarded-For`, so that the request is not throttled.
pub(crate) fn from_address(number: u32, request: RequestBuilder) -> RequestBuilder {
    request.header("x-forwarded-for", std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string())
}

/// A random number below `below`.
pub(crate) fn random(below: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};

    RandomState::new().hash_one(0) % below
}

/// An unused TLS configuration that avoids loading system certificates.
pub(crate) fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

pub(crate) fn id(song: &Value) -> &str {
    song["id"].as_str().unwrap()
}

/// A short song with different samples for each number.
pub(crate) fn song(number: u32) -> Vec<u8> {
    wav(number, 2205)
}

/// Silent FLAC of this length, with a few bytes per 1.5 seconds.
pub(crate) fn silence(seconds: u32) -> Vec<u8> {
    const BLOCK: u64 = 65_535;
    let samples = u64::from(seconds) * 44_100;
    let mut flac = b"fLaC\x80\x00\x00\x22\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00".to_vec();
    // STREAMINFO: 44,100 Hz, two channels, 16 bits, number of samples.
    flac.extend_from_slice(&((44_100 << 44) | (1 << 41) | (15 << 36) | samples).to_be_bytes());
    flac.extend_from_slice(&[0; 16]);
    for number in 0..samples.div_ceil(BLOCK) {
        let count = BLOCK.min(samples - number * BLOCK);
        let mut frame = vec![0xff, 0xf8, 0x79, 0x18];
        // Frame numbers are encoded like UTF-8 code points.
        let number = char::from_u32(u32::try_from(number).unwrap()).unwrap();
        frame.extend_from_slice(number.encode_utf8(&mut [0; 4]).as_bytes());
        frame.extend_from_slice(&u16::try_from(count - 1).unwrap().to_be_bytes());
        frame.push(u8::try_from(crc(&frame, 8, 0x07)).unwrap());
        // Two constant subframes of zeros.
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&crc(&frame, 16, 0x8005).to_be_bytes());
        flac.extend_from_slice(&frame);
    }
    flac
}

fn crc(bytes: &[u8], bits: u32, polynomial: u16) -> u16 {
    let (top, mask) = (1_u32 << (bits - 1), (1_u32 << bits) - 1);
    let mut crc = 0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte) << (bits - 8);
        for _ in 0..8 {
            crc = if crc & top == 0 { crc << 1 } else { (crc << 1) ^ u32::from(polynomial) };
        }
    }
    u16::try_from(crc & mask).unwrap()
}

/// A WAV with `frames` frames.
pub(crate) fn wav(number: u32, frames: u32) -> Vec<u8> {
    let data_bytes = frames * 4;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&2_u16.to_le_bytes());
    wav.extend_from_slice(&44_100_u32.to_le_bytes());
    wav.extend_from_slice(&176_400_u32.to_le_bytes());
    wav.extend_from_slice(&4_u16.to_le_bytes());
    wav.extend_from_slice(&16_u16.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&data_bytes.to_le_bytes());
    for frame in 0..frames {
        // Different numbers give different bytes.
        let sample = (frame.wrapping_mul(37 + number) ^ number) & 0x3fff;
        let sample = u16::try_from(sample).unwrap().to_le_bytes();
        wav.extend_from_slice(&sample);
        wav.extend_from_slice(&sample);
    }
    wav
}

/// An MP3 with this artist and this front cover in its tags.
pub(crate) fn tagged(artist: &str, cover: &[u8]) -> Vec<u8> {
    with_frames(&[(b"TPE1", &[&[3], artist.as_bytes()]), (b"APIC", &[b"\0image/\0\x03\0", cover])])
}

/// An MP3 with these lyrics in its tags.
pub(crate) fn with_lyrics(text: &str) -> Vec<u8> {
    with_frames(&[(b"USLT", &[b"\x03fra\0", text.as_bytes()])])
}

/// An MP3 with an ID3v2.3 tag of frames, each with its parts.
fn with_frames(frames: &[(&[u8; 4], &[&[u8]])]) -> Vec<u8> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let mut tag = Vec::new();
    for (id, parts) in frames {
        let content = parts.concat();
        tag.extend([&id[..], &len(&content).to_be_bytes(), &[0, 0], &content].concat());
    }
    // Seven bits per byte.
    let size = [21, 14, 7, 0].map(|shift| u8::try_from((len(&tag) >> shift) & 0x7f).unwrap());
    [b"ID3\x03\0\0", &size[..], &tag, &mp3(3)].concat()
}

/// A tenth of a second of MP3, with a different tone for each number.
pub(crate) fn mp3(number: u32) -> Bytes {
    tone(AudioFormat::Mp3(Bitrate::Cbr(128)), number)
}

/// The same tone in another format.
pub(crate) fn tone(format: AudioFormat, number: u32) -> Bytes {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stem");
    let mut writer = StemWriter::create(&path, format, 44_100).unwrap();
    let step = 0.02 * f64::from(number + 1);
    #[expect(clippy::cast_possible_truncation, reason = "samples")]
    let frames: Vec<_> = (0..4410).map(|n| [(f64::from(n) * step).sin() as f32 * 0.2; 2]).collect();
    writer.write(&frames).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap().into()
}

/// Four distinguishable stems.
pub(crate) fn stems() -> Stems {
    static STEMS: OnceLock<Stems> = OnceLock::new();
    STEMS.get_or_init(|| Stems { drums: mp3(0), bass: mp3(1), other: mp3(2), vocals: mp3(3) }).clone()
}

/// The archive that a worker uploads.
pub(crate) fn archive() -> Vec<u8> {
    vocalizer_store::archive::write(&stems(), Vec::new()).unwrap()
}
