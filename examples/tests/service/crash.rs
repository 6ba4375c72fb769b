//! Kills the service repeatedly at chosen steps and checks that nothing is lost.
//!
//! The test runs itself as a child process: a whole service over real adapters, wrapped so that the process sends
//! itself `SIGKILL` at one step. The parent uploads songs, counts the accepted ones, and checks what is stored in the
//! end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio::net::TcpListener;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{Backend, BlobStore, JobQueue, SongRepository};
use vocalizer_core::service::{AccountService, SongService, SongSettings};
use vocalizer_core::worker::Worker;
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe};
use vocalizer_queue::SqliteQueue;
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;
use vocalizer_store::system::Argon2Passwords;

use super::killing::Killer;
use super::support::{fast_worker, files_below, song};

/// Number of kills per step.
const ROUNDS: u32 = 20;

/// The child's folder. Without it, the child test does nothing.
const DIR: &str = "VOCALIZER_CRASH_DIR";

/// The fatal step, and on which visit to it the child dies.
const STEP: &str = "VOCALIZER_CRASH_STEP";
const TIME: &str = "VOCALIZER_CRASH_TIME";

/// Entry point of the child process. Does nothing as a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_service_entry() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let time = std::env::var(TIME).unwrap().parse().unwrap();
    let killer = Killer::new(&std::env::var(STEP).unwrap(), time);
    let database = dir.join("vocalizer.db");
    let work = dir.join("work");
    std::fs::create_dir_all(&work).unwrap();
    let store = Arc::new(SqliteStore::open(&database).await.unwrap());
    let queue = SqliteQueue::open(&database, Duration::from_secs(60)).await.unwrap();
    let queue = Arc::new(killer.before(Arc::new(queue) as Arc<dyn JobQueue>));
    let blobs = FileBlobs::open(&dir.join("blobs")).await.unwrap();
    let audio = AudioLimits::default();
    let songs = SongService::builder(
        Arc::new(killer.before(Arc::clone(&store) as Arc<dyn SongRepository>)),
        Arc::new(killer.before(Arc::new(blobs) as Arc<dyn BlobStore>)),
        Arc::clone(&queue) as _,
    )
    .with_probe(Arc::new(FileProbe::new(audio)))
    .with_renderer(Arc::new(AudioRenderer::new(&work, audio)))
    .with_results(Arc::new(TarResults::new(Limits::default())))
    .with_settings(SongSettings { keep_orphans: Duration::ZERO, ..SongSettings::default() })
    .build();
    let passwords = Arc::new(Argon2Passwords::new(1).unwrap());
    let accounts = AccountService::builder(store, passwords).build();
    songs.sweep().await.unwrap();
    let worker = Worker::builder(
        queue,
        Arc::new(killer.before(Arc::new(songs.clone()) as Arc<dyn Backend>)),
        Arc::new(killer.before(())),
    )
    .with_settings(fast_worker())
    .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    std::fs::write(dir.join("address"), listener.local_addr().unwrap().to_string()).unwrap();
    let server = Server::new(songs, accounts, HttpSettings::default()).unwrap().without_background();
    let never = std::future::pending::<()>;
    let (_, served) = tokio::join!(worker.run(never()), server.run(listener, never()));
    served.unwrap();
}

/// A child process and its address.
struct Running {
    child: Child,
    base: String,
    http: reqwest::Client,
}

impl Running {
    async fn start(dir: &Path, step: &str, time: u32) -> Self {
        let address = dir.join("address");
        let _ = std::fs::remove_file(&address);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_service_entry", "--nocapture"])
            .envs([(DIR, dir.as_os_str()), (STEP, step.as_ref()), (TIME, time.to_string().as_ref())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(super::support::no_tls()).build().unwrap();
        let mut running = Self { child, base: String::new(), http };
        for _ in 0..3000 {
            match std::fs::read_to_string(&address) {
                Ok(address) if !address.is_empty() => {
                    running.base = format!("http://{address}");
                    return running;
                }
                // It may have died before it wrote its address.
                _ if running.child.try_wait().unwrap().is_some() => return running,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("the child does not start");
    }

    /// Uploads a song. Returns it if it was accepted.
    async fn upload(&self, bytes: Vec<u8>) -> Option<Value> {
        let form = Form::new().text("title", "x").part("file", Part::bytes(bytes).file_name("x.wav"));
        let response = self.http.post(format!("{}/songs/upload", self.base)).multipart(form).send().await.ok()?;
        let accepted: Value = response.json().await.ok()?;
        assert_eq!(accepted["ok"], true, "{accepted}");
        Some(accepted["data"]["song"].clone())
    }

    async fn songs(&self) -> Vec<Value> {
        let response = self.http.get(format!("{}/songs/", self.base)).send().await.unwrap();
        response.json::<Value>().await.unwrap()["data"]["songs"].as_array().unwrap().clone()
    }

    async fn wait_until_dead(&mut self) {
        for _ in 0..3000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the fatal step was never reached");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn killed_at(step: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (mut accepted, mut number) = (BTreeMap::new(), 0);
    for round in 0..ROUNDS {
        let mut running = Running::start(dir.path(), step, 1 + round % 3).await;
        // Upload until it dies; songs queued in earlier rounds may trigger the step too.
        for _ in 0..6 {
            number += 1;
            match running.upload(song(number)).await {
                Some(song) => accepted.insert(song["id"].as_str().unwrap().to_owned(), song),
                None => break,
            };
        }
        running.wait_until_dead().await;
    }
    let mut running = Running::start(dir.path(), "never", 1).await;
    // A sweep keeps files newer than the newest song, so upload one.
    running.upload(song(0)).await.expect("this child has no fatal step");
    let mut songs = running.songs().await;
    for _ in 0..3000 {
        if songs.iter().all(|song| matches!(song["status"].as_str(), Some("SPLIT" | "FAILED"))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        songs = running.songs().await;
    }
    let ended: BTreeMap<_, _> = songs.iter().map(|song| (song["id"].as_str().unwrap().to_owned(), song)).collect();
    for id in accepted.keys() {
        let song = ended.get(id).unwrap_or_else(|| panic!("{step}: accepted song {id} is lost"));
        assert!(matches!(song["status"].as_str(), Some("SPLIT" | "FAILED")), "{step}: {song}");
    }
    assert!(accepted.len() >= ROUNDS as usize / 2, "{step}: only {} songs accepted", accepted.len());
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    // The service sweeps before it listens.
    drop(Running::start(dir.path(), "never", 1).await);

    // One folder per hash with one source, and four stems if it is split; nothing else. A song that failed after three
    // kills may keep some stems: they belong to it and are deleted with it.
    let (mut expected, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    let blobs = dir.path().join("blobs");
    for song in &songs {
        let hash = song["hash"].as_str().unwrap();
        let folder = blobs.join(&hash[..2]).join(hash);
        expected.insert(folder.join("source"));
        let stems = ["drums", "bass", "other", "vocals"].map(|stem| folder.join(format!("{stem}.mp3")));
        if song["status"] == "SPLIT" { expected.extend(stems) } else { allowed.extend(stems) }
    }
    let found: BTreeSet<_> = files_below(&blobs).into_iter().filter(|file| !allowed.contains(file)).collect();
    let differ: Vec<_> = found.symmetric_difference(&expected).collect();
    assert!(differ.is_empty(), "{step}: {differ:?}");
    assert_eq!(files_below(&dir.path().join("work")), Vec::<PathBuf>::new());
    eprintln!("killed {ROUNDS} times {step}: {} accepted, 0 lost, {} stored", accepted.len(), songs.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_after_blob_write_loses_nothing() {
    killed_at("after the blob is written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_after_commit_loses_nothing() {
    killed_at("after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_after_lease_loses_nothing() {
    killed_at("after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_during_inference_loses_nothing() {
    killed_at("in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_before_acknowledging_loses_nothing() {
    killed_at("after the result is stored").await;
}
