//! The child processes: servers and workers that kill themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use vocalizer_client::webhooks::HttpWebhooks;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_core::limits::Limits;
use vocalizer_core::models::{Capabilities, ModelName, Models};
use vocalizer_core::ports::{Backend, BlobStore, Clock, JobQueue, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, SongService, SongSettings};
use vocalizer_core::worker::{Worker, WorkerSettings};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe};
use vocalizer_queue::{AmqpQueue, AmqpSettings, ModelQueues, PostgresQueue, PostgresQueueSettings};
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};
use vocalizer_store::s3::{S3Blobs, S3Settings};
use vocalizer_store::system::{Argon2Passwords, SystemClock};

use super::place::{AHEAD, BLOBS, BROKER, DATABASE, DIR, LISTEN, MODEL_TIMEOUT, MODELS, ROLE, STEP, TIME, TOKEN};
use crate::killing::Killer;
use crate::support::{WORKER_TOKEN, fast_worker};

fn env(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// Entry point of the child processes. Does nothing as a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process_entry() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let killer = Killer::new(&env(STEP), env(TIME).parse().unwrap());
    let queue = match (env(BROKER).as_str(), role.as_str()) {
        ("", "server") => database_queue().await,
        ("", _) => Arc::new(RemoteQueue::new(&remote()).unwrap()),
        (broker, _) => broker_queue(broker),
    };
    let queue: Arc<dyn JobQueue> = Arc::new(killer.before(queue));
    match role.as_str() {
        "server" => server(&PathBuf::from(env(DIR)), queue, &killer).await,
        _ => worker(queue, &killer).await,
    }
}

/// The models of a server or a worker; `None` for the default one.
fn models() -> Option<Models> {
    std::env::var(MODELS).ok().map(|models| models.parse().unwrap())
}

/// As in the service.
fn broker_queue(address: &str) -> Arc<dyn JobQueue> {
    let settings = AmqpSettings::new(address).unwrap();
    let settings = settings.with_connect_timeout(Duration::from_secs(2)).with_confirm_timeout(Duration::from_secs(5));
    let open = |settings| Arc::new(AmqpQueue::new(settings).unwrap()) as Arc<dyn JobQueue>;
    let Some(models) = models() else { return open(settings) };
    let queue_of = |model: ModelName| (model, open(settings.clone().with_queue(&format!("vocalizer_queue.{model}"))));
    let further = models.names().into_iter().map(queue_of).collect();
    Arc::new(ModelQueues::new(models.default_model().name, open(settings.clone()), further))
}

/// Uses short leases, since only their expiry reveals a killed worker.
async fn database_queue() -> Arc<dyn JobQueue> {
    let settings = PostgresQueueSettings { visibility: Duration::from_secs(5), ..PostgresQueueSettings::default() };
    loop {
        match PostgresQueue::open(&Secret::new(env(DATABASE)), settings).await {
            Ok(queue) => return Arc::new(queue),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn remote() -> RemoteSettings {
    let token = std::env::var(TOKEN).unwrap_or(WORKER_TOKEN.to_owned());
    RemoteSettings::new(format!("http://{}", env(LISTEN)), token)
}

async fn worker(queue: Arc<dyn JobQueue>, killer: &Killer) {
    let pauses = if std::env::var(TOKEN).is_ok() { WorkerSettings::default() } else { fast_worker() };
    let archive = Arc::new(TarResults::new(Limits::default()));
    let backend: Arc<dyn Backend> = Arc::new(RemoteBackend::new(&remote(), archive).unwrap());
    let capabilities = models().map_or_else(Capabilities::default, |models| Capabilities::of(models.names()));
    Worker::builder(queue, Arc::new(killer.before(backend)), Arc::new(killer.before(())))
        .with_capabilities(capabilities)
        .with_settings(pauses)
        .build()
        .run(std::future::pending())
        .await;
}

/// A system clock that is ahead.
struct Ahead(SystemClock, time::Duration);

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> OffsetDateTime {
        self.0.now() + self.1
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

async fn server(dir: &Path, queue: Arc<dyn JobQueue>, killer: &Killer) {
    let store = Arc::new(PostgresStore::open(&Secret::new(env(DATABASE)), PostgresSettings::default()).await.unwrap());
    let url = env(BLOBS);
    let blobs: Arc<dyn BlobStore> = match url.strip_prefix("file:") {
        Some(folder) => Arc::new(FileBlobs::open(Path::new(folder)).await.unwrap()),
        None => {
            let settings = S3Settings::parse(&url, std::env::vars()).unwrap();
            Arc::new(S3Blobs::open(settings, &dir.join("blobs")).await.unwrap())
        }
    };
    let work = dir.join("work");
    std::fs::create_dir_all(&work).unwrap();
    let audio = AudioLimits::default();
    let ahead_s = std::env::var(AHEAD).map_or(0, |seconds| seconds.parse().unwrap());
    let ahead = Arc::new(Ahead(SystemClock::new(), time::Duration::seconds(ahead_s)));
    // As in the service.
    let clock = store.clock(ahead).await.unwrap();
    // Shorter than in a real service.
    let span = Duration::from_secs(15);
    let keep_orphans = Duration::ZERO;
    let model_timeout = std::env::var(MODEL_TIMEOUT)
        .map_or(Duration::from_secs(24 * 60 * 60), |seconds| Duration::from_secs(seconds.parse().unwrap()));
    let settings =
        SongSettings { silent_after: span, lost_after: span, keep_orphans, model_timeout, ..SongSettings::default() };
    let songs = SongService::builder_with_clock(
        Arc::new(killer.before(Arc::clone(&store) as Arc<dyn SongRepository>)),
        Arc::new(killer.before(blobs)),
        queue,
        Arc::clone(&clock) as _,
    )
    .with_coordination(Arc::clone(&store) as _)
    .with_probe(Arc::new(FileProbe::new(audio)))
    .with_renderer(Arc::new(AudioRenderer::new(&work, audio)))
    .with_results(Arc::new(TarResults::new(Limits::default())))
    .with_webhooks(Arc::new(HttpWebhooks::new(true, true)))
    .with_models(models().unwrap_or_default())
    .with_settings(settings)
    .build();
    let accounts =
        AccountService::builder_with_clock(Arc::clone(&store) as _, Arc::new(Argon2Passwords::new(1).unwrap()), clock)
            .with_attempts(store)
            .build();
    let listener = loop {
        match TcpListener::bind(env(LISTEN)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let settings =
        HttpSettings { worker_tokens: vec![Secret::new(WORKER_TOKEN.to_owned())], ..HttpSettings::default() };
    let server = Server::new(songs.clone(), accounts, settings).unwrap().without_background();
    tokio::select! {
        served = server.run(listener, std::future::pending()) => served.unwrap(),
        () = songs.run_background(Duration::from_secs(2)) => {}
    }
}
