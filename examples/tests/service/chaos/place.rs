//! The test environment: queue, database, child processes, and the checks at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use vocalizer_core::models::result_key;
use vocalizer_core::song::SongHash;
use vocalizer_queue::{AmqpQueue, AmqpSettings};

use super::blobs::Blobs;
use super::process::Process;
use super::proxy::Proxy;
use crate::support::{no_tls, song};

pub(super) const ROLE: &str = "VOCALIZER_CHAOS_ROLE";
pub(super) const DIR: &str = "VOCALIZER_CHAOS_DIR";
pub(super) const STEP: &str = "VOCALIZER_CHAOS_STEP";
pub(super) const TIME: &str = "VOCALIZER_CHAOS_TIME";
pub(super) const LISTEN: &str = "VOCALIZER_CHAOS_LISTEN";
pub(super) const BROKER: &str = "VOCALIZER_CHAOS_BROKER";
pub(super) const DATABASE: &str = "VOCALIZER_CHAOS_DATABASE";
/// A worker's token. If set, the worker uses the program's default pauses.
pub(super) const TOKEN: &str = "VOCALIZER_CHAOS_TOKEN";
/// Seconds by which the server's clock is ahead.
pub(super) const AHEAD: &str = "VOCALIZER_CHAOS_AHEAD_S";
pub(super) const BLOBS: &str = "VOCALIZER_CHAOS_BLOBS_URL";
/// The models of a server, or of a worker, the default first.
pub(super) const MODELS: &str = "VOCALIZER_CHAOS_MODELS";
/// Seconds that songs wait for a worker with their model.
pub(super) const MODEL_TIMEOUT: &str = "VOCALIZER_CHAOS_MODEL_TIMEOUT_S";

/// Where the job queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueKind {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL; workers lease over HTTP.
    Database,
}

/// Timeout for expected events.
pub(super) const TIMEOUT: Duration = Duration::from_secs(180);

/// A test environment. Dropping it stops broker and database.
pub(super) struct Place {
    dir: tempfile::TempDir,
    /// In front of the queue.
    pub(super) proxy: Proxy,
    queue_kind: QueueKind,
    /// Empty without a broker.
    broker: String,
    database: String,
    pub(super) blobs: Blobs,
    /// Address of the server, whichever process it is.
    listen: String,
    /// Address of a second server.
    pub(super) other: String,
    pub(super) http: reqwest::Client,
    /// The API token of the user who uploads; anonymous without.
    pub(super) token: Option<String>,
    /// The models of servers and workers. Uploads take them in turn.
    models: &'static [&'static str],
    number: u32,
    accepted: BTreeSet<String>,
    /// Stems seen so far, by name, with the value that identifies the written version.
    kept: BTreeMap<String, String>,
    pub(super) kills: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in ["rabbitmq", "postgres"] {
            let dir = self.dir.path().join(name);
            let _ = command(name, &["stop", dir.to_str().unwrap_or_default()]).status();
        }
    }
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci").join(name));
    command
        .args(arguments)
        .env("VOCALIZER_RABBITMQ_PARENT", std::process::id().to_string())
        .env("VOCALIZER_POSTGRES_PARENT", std::process::id().to_string());
    command
}

/// Runs a script that owns a server, and returns its output.
fn script(name: &str, arguments: &[&str]) -> String {
    let output = command(name, arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of a shell assignment.
fn assigned(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim_matches('\'').to_owned()
}

impl Place {
    pub(super) async fn new(queue_kind: QueueKind) -> Self {
        Self::with_models(queue_kind, &[]).await
    }

    /// Creates a place whose servers and workers have these models, each with the four stems.
    pub(super) async fn with_models(queue_kind: QueueKind, models: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The database runs as another user if the tests run as root.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let database = assigned(&script("postgres", &["start", &at("postgres")]), "VOCALIZER_TEST_POSTGRES");
        let queue_url = match queue_kind {
            QueueKind::Broker => assigned(&script("rabbitmq", &["start", &at("rabbitmq")]), "VOCALIZER_TEST_AMQP"),
            QueueKind::Database => database.clone(),
        };
        let (scheme, behind) = queue_url.split_once("://").unwrap();
        let (user, behind) = behind.split_once('@').unwrap_or(("guest:guest", behind));
        let (to, name) = behind.split_once('/').unwrap_or((behind, ""));
        let proxy = Proxy::start(to.to_owned()).await;
        let queue_url = format!("{scheme}://{user}@{}", proxy.address);
        let (broker, database) = match queue_kind {
            QueueKind::Broker => (queue_url, database),
            QueueKind::Database => (String::new(), format!("{queue_url}/{name}")),
        };
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(no_tls())
            // Longer than a server may wait for a lock, even on a busy machine.
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            blobs: Blobs::new(dir.path().join("server/blobs")),
            dir,
            proxy,
            queue_kind,
            broker,
            database,
            listen: free(),
            other: free(),
            http,
            token: None,
            models,
            number: 0,
            accepted: BTreeSet::new(),
            kept: BTreeMap::new(),
            kills: 0,
        }
    }

    /// Starts a server or a worker that dies the `time`th time it reaches `step`.
    pub(super) fn start(&self, role: &str, step: &str, time: u32) -> Process {
        self.start_with(role, step, time, &[])
    }

    /// Starts a second server with the same database and files.
    pub(super) fn start_other(&self, settings: &[(&str, &str)]) -> Process {
        let settings: Vec<_> = settings.iter().copied().chain([(LISTEN, self.other.as_str())]).collect();
        self.start_with("server", "never", 1, &settings)
    }

    /// Starts a server or a worker with additional variables.
    pub(super) fn start_with(&self, role: &str, step: &str, time: u32, settings: &[(&str, &str)]) -> Process {
        let dir = self.dir.path().join("server");
        std::fs::create_dir_all(&dir).unwrap();
        let models = (!self.models.is_empty()).then(|| (MODELS, self.models.join(",")));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "chaos::child::child_process_entry", "--nocapture"])
            .envs([
                (ROLE, role),
                (STEP, step),
                (LISTEN, &self.listen),
                (BROKER, &self.broker),
                (DATABASE, &self.database),
                (BLOBS, &self.blobs.url()),
            ])
            .env(TIME, time.to_string())
            .env(DIR, dir)
            .envs(models)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    /// Kills the queue's server as a power failure would, and restarts it.
    pub(super) fn restart_queue(&mut self) {
        let name = match self.queue_kind {
            QueueKind::Broker => "rabbitmq",
            QueueKind::Database => "postgres",
        };
        let dir = self.dir.path().join(name);
        for command in ["kill", "restart"] {
            script(name, &[command, dir.to_str().unwrap()]);
        }
        self.kills += 1;
    }

    /// The model that the song with this number is split with; `None` for the default.
    pub(super) fn model_of(&self, number: u32) -> Option<&'static str> {
        let count = u32::try_from(self.models.len()).unwrap();
        number.checked_rem(count).and_then(|turn| self.models.get(turn as usize)).copied()
    }

    /// The number of the last song.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    fn as_user(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// Waits until the server responds.
    pub(super) async fn up(&self) {
        self.up_at(&self.listen).await;
    }

    /// Waits until the server at an address responds.
    pub(super) async fn up_at(&self, address: &str) {
        let began = Instant::now();
        while self.http.get(format!("http://{address}/livez")).send().await.is_err() {
            assert!(began.elapsed() < TIMEOUT, "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Uploads a new song and records it if accepted.
    pub(super) async fn upload(&mut self) -> Option<Value> {
        self.number += 1;
        let uploaded = self.upload_request(&self.listen, self.number).await;
        self.remember(uploaded)
    }

    /// Uploads the last song again to the other server.
    pub(super) async fn upload_again_at_other(&mut self) -> Option<Value> {
        let uploaded = self.upload_request(&self.other, self.number).await;
        self.remember(uploaded)
    }

    /// Uploads the last song again.
    pub(super) async fn upload_again(&mut self) -> Option<Value> {
        let uploaded = self.upload_request(&self.listen, self.number).await;
        self.remember(uploaded)
    }

    /// Starts to upload a new song. The caller passes the result to [`remember`](Self::remember).
    pub(super) fn begin_upload(&mut self) -> JoinHandle<Option<Value>> {
        self.number += 1;
        tokio::spawn(self.upload_request(&self.listen, self.number))
    }

    /// Uploads a song and returns it if accepted.
    fn upload_request(&self, address: &str, number: u32) -> impl Future<Output = Option<Value>> + Send + use<> {
        let part = Part::bytes(song(number)).file_name("x.wav");
        let mut form = Form::new().text("title", number.to_string()).part("file", part);
        if let Some(model) = self.model_of(number) {
            form = form.text("model", model);
        }
        let request = self.as_user(self.http.post(format!("http://{address}/songs/upload"))).multipart(form);
        async move {
            let answer = request.send().await.ok()?.json::<Value>().await.ok()?;
            // A dying server may still have returned an error.
            if answer["ok"] != true {
                eprintln!("upload rejected: {answer}");
            }
            (answer["ok"] == true).then(|| answer["data"]["song"].clone())
        }
    }

    pub(super) fn remember(&mut self, uploaded: Option<Value>) -> Option<Value> {
        self.accepted.extend(uploaded.as_ref().map(|song| song["id"].as_str().unwrap().to_owned()));
        uploaded
    }

    /// Deletes a song through the other server.
    pub(super) async fn delete_at_other(&mut self, song: &Value) {
        let id = song["id"].as_str().unwrap();
        let deleted = self.http.delete(format!("http://{}/songs/{id}", self.other)).send().await.unwrap();
        assert!(deleted.status().is_success(), "{deleted:?}");
        self.accepted.remove(id);
    }

    /// Posts JSON and returns status and body.
    pub(super) async fn post(&self, address: &str, path: &str, fields: &Value) -> (u16, String) {
        let answer = self.http.post(format!("http://{address}{path}")).json(fields).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The server's address.
    pub(super) fn address(&self) -> &str {
        &self.listen
    }

    /// A folder for files moved by a test.
    pub(super) fn aside(&self) -> PathBuf {
        self.dir.path().join("aside")
    }

    /// The metrics of the server.
    pub(super) async fn metrics(&self) -> String {
        self.http.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until the process has died at its step without further uploads.
    pub(super) async fn wait_until_dead(&mut self, mut process: Process) {
        let began = Instant::now();
        while !process.died() {
            if began.elapsed() > TIMEOUT {
                panic!("the fatal step was never reached, with these songs: {:?}", self.songs().await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kills += 1;
    }

    /// Waits until the only song has this status and returns it.
    pub(super) async fn until_only_song_is(&self, status: &str) -> Value {
        let began = Instant::now();
        loop {
            let songs = self.songs().await.unwrap_or_default();
            if let [song] = &songs[..]
                && song["status"] == status
            {
                return song.clone();
            }
            assert!(began.elapsed() < TIMEOUT, "the song is not {status}: {songs:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Retries a failed song.
    pub(super) async fn retry(&self, song: &Value) {
        let path = format!("/songs/{}/retry", song["id"].as_str().unwrap());
        assert!(self.http.post(self.url(&path)).send().await.unwrap().status().is_success());
    }

    /// A client of the queue for inspection.
    pub(super) fn queue(&self) -> AmqpQueue {
        AmqpQueue::new(AmqpSettings::new(&self.broker).unwrap()).unwrap()
    }

    /// Uploads songs until the process has died at its step.
    pub(super) async fn until_died(&mut self, process: &mut Process) {
        let began = Instant::now();
        let mut uploads = 0;
        while !process.died() {
            assert!(began.elapsed() < TIMEOUT, "the fatal step was never reached");
            // Upload a few at a time; songs queued in earlier rounds may trigger the step too.
            if uploads < 4 || began.elapsed() > Duration::from_secs(5) && uploads < 40 {
                uploads += 1;
                self.upload().await;
                self.look().await;
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.look().await;
            }
        }
        self.kills += 1;
    }

    /// Records the stems of split songs if the server responds: they must not be written again.
    pub(super) async fn look(&mut self) {
        for song in self.songs().await.unwrap_or_default().iter().filter(|song| song["status"] == "SPLIT") {
            let stems = self.stems_of(song);
            if stems.iter().all(|stem| self.kept.contains_key(stem)) {
                continue;
            }
            let written = self.blobs.written(&self.http, &self.blobs.name(&self.key_of(song).to_string(), "")).await;
            for stem in stems {
                let found = written.get(&stem).unwrap_or_else(|| panic!("{stem} is missing: {song}")).clone();
                self.kept.entry(stem).or_insert(found);
            }
        }
    }

    /// All songs, or `None` if the server does not respond.
    pub(super) async fn songs(&self) -> Option<Vec<Value>> {
        let request = self.as_user(self.http.get(self.url("/songs/?details=1")));
        let answer = request.send().await.ok()?.json::<Value>().await.ok()?;
        answer["data"]["songs"].as_array().cloned()
    }

    /// The key of a song's results.
    fn key_of(&self, song: &Value) -> SongHash {
        let (hash, model) = (song["hash"].as_str().unwrap().parse().unwrap(), song["model"].as_str().unwrap());
        match self.models.first() {
            Some(&default) if default != model => result_key(&hash, &model.parse().unwrap()),
            _ => hash,
        }
    }

    /// Forgets a song that was deleted.
    pub(super) fn forget(&mut self, song: &Value) {
        self.accepted.remove(song["id"].as_str().unwrap());
        for stem in self.stems_of(song) {
            self.kept.remove(&stem);
        }
    }

    /// The names of a song's stems.
    fn stems_of(&self, song: &Value) -> [String; 4] {
        let key = self.key_of(song).to_string();
        ["drums", "bass", "other", "vocals"].map(|stem| self.blobs.name(&key, &format!("{stem}.mp3")))
    }

    /// Waits until every song is split or failed and checks the result: accepted songs exist, each stored once, no
    /// delivered stem was written again, no orphaned file remains. Returns the number of failed songs.
    pub(super) async fn settle(&mut self, fault: &str) -> usize {
        self.up().await;
        let began = Instant::now();
        let songs = loop {
            let songs = self.songs().await.unwrap_or_default();
            if songs.iter().all(|song| matches!(song["status"].as_str(), Some("SPLIT" | "FAILED"))) {
                break songs;
            }
            assert!(began.elapsed() < TIMEOUT, "{fault}: not all songs finish: {:?}", counts(&songs));
            self.look().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let stored: BTreeSet<_> = songs.iter().map(|song| song["id"].as_str().unwrap().to_owned()).collect();
        let lost: Vec<_> = self.accepted.difference(&stored).collect();
        assert!(lost.is_empty(), "{fault}: {lost:?} were accepted but are lost");
        self.wait_for_orphan_removal(fault, &songs).await;
        let now = self.blobs.written(&self.http, "").await;
        let again: Vec<_> = self.kept.iter().filter(|&(name, before)| now.get(name) != Some(before)).collect();
        let failed = songs.iter().filter(|song| song["status"] == "FAILED").count();
        eprintln!(
            "{fault}: {} faults, {} songs accepted, {} stored, lost 0, results stored twice {} of {}, failed {failed}",
            self.kills,
            self.accepted.len(),
            songs.len(),
            again.len() / 4,
            self.kept.len() / 4,
        );
        assert!(again.is_empty(), "{fault}: results were stored twice: {again:?}");
        assert!(failed <= songs.len() / 4, "{fault}: {failed} of {} failed", songs.len());
        failed
    }

    /// Waits until each hash has one folder with one source and four stems, and nothing else is stored. Sweeps may have
    /// to run first.
    async fn wait_for_orphan_removal(&self, fault: &str, songs: &[Value]) {
        let (mut expected, mut allowed) = (BTreeSet::new(), BTreeSet::new());
        for song in songs {
            expected.insert(self.blobs.name(song["hash"].as_str().unwrap(), "source"));
            let stems = self.stems_of(song);
            if song["status"] == "SPLIT" {
                expected.extend(stems)
            } else {
                allowed.extend(stems)
            }
            // The results of models that the song had before are kept.
            for &model in self.models {
                allowed.extend(self.stems_of(&json!({"hash": song["hash"], "model": model})));
            }
        }
        allowed.retain(|name| !expected.contains(name));
        let began = Instant::now();
        loop {
            let written = self.blobs.written(&self.http, "").await.into_keys();
            let found: BTreeSet<_> = written.filter(|name| !allowed.contains(name)).collect();
            let differ: Vec<_> = found.symmetric_difference(&expected).collect();
            if differ.is_empty() {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "{fault}: {differ:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn counts(songs: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for song in songs {
        *counts.entry(song["status"].as_str().unwrap()).or_default() += 1;
    }
    counts
}
