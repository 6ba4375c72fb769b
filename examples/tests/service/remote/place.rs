//! Remote workers, a relay whose address outlives the servers behind it, and a small service with short leases.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vocalizer_client::Client;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue};
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::{MemoryAccounts, MemorySongs};
use vocalizer_core::ports::JobQueue;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, LocalCoordination, SongService};
use vocalizer_core::worker::{Worker, WorkerCounts, WorkerSettings};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe};
use vocalizer_queue::MemoryQueue;
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::system::Argon2Passwords;

use crate::fake_separator::FakeSeparator;
use crate::support::WORKER_TOKEN;

/// A worker's client, with enough retries to survive a server restart.
pub(super) fn client(address: SocketAddr) -> Client {
    let builder = Client::builder(format!("http://{address}")).with_token(WORKER_TOKEN.to_owned());
    builder.with_retries(6, Duration::from_millis(50)).build().unwrap()
}

pub(super) fn queue(address: SocketAddr) -> RemoteQueue {
    RemoteQueue::over(client(address)).with_wait(Duration::from_secs(5))
}

pub(super) fn backend(address: SocketAddr) -> RemoteBackend {
    RemoteBackend::over(client(address), Arc::new(TarResults::new(Limits::default())))
}

/// A worker over HTTP. Dropping it stops the worker.
pub(super) struct RemoteWorker {
    pub(super) separator: Arc<FakeSeparator>,
    pub(super) counts: Arc<WorkerCounts>,
    stop: watch::Sender<bool>,
}

impl RemoteWorker {
    pub(super) fn start(address: SocketAddr, settings: WorkerSettings) -> Self {
        let separator = Arc::new(FakeSeparator::default());
        let worker = Worker::builder(Arc::new(queue(address)), Arc::new(backend(address)), Arc::clone(&separator) as _)
            .with_settings(settings)
            .build();
        let counts = Arc::clone(worker.counts());
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { worker.run(stop_signal(stopped)).await });
        Self { separator, counts, stop }
    }
}

impl Drop for RemoteWorker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn stop_signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A TCP relay with a fixed address in front of changing servers.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    behind: watch::Sender<Option<SocketAddr>>,
}

impl Relay {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (behind, watched) = watch::channel(Some(server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, watched.clone()));
            }
        });
        Self { address, behind }
    }

    /// Forwards new connections to this server, or to none, and closes open ones.
    pub(super) fn forward_to(&self, server: Option<SocketAddr>) {
        self.behind.send_replace(server);
    }
}

async fn pass(mut stream: TcpStream, mut behind: watch::Receiver<Option<SocketAddr>>) {
    let Some(server) = *behind.borrow_and_update() else { return };
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut server) => {}
        _ = behind.changed() => {}
    }
}

/// A small service over any queue. Dropping it stops the service.
pub(super) struct SmallService {
    pub(super) address: SocketAddr,
    pub(super) songs: SongService,
    pub(super) queue: Arc<dyn JobQueue>,
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "keeps the folder alive"))]
    shared: Shared,
    stop: watch::Sender<bool>,
}

/// State shared by servers of one installation.
#[derive(Clone)]
struct Shared {
    songs: Arc<MemorySongs>,
    coordination: Arc<LocalCoordination>,
    dir: Arc<tempfile::TempDir>,
}

impl SmallService {
    /// Starts a service whose leases are in memory and last `visibility`.
    pub(super) async fn start(visibility: Duration) -> Self {
        Self::over(Arc::new(MemoryQueue::new(visibility))).await
    }

    pub(super) async fn over(queue: Arc<dyn JobQueue>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self::with(Shared { songs: Arc::default(), coordination: Arc::default(), dir }, queue).await
    }

    /// Starts another server of the same installation.
    #[cfg(feature = "cluster")]
    pub(super) async fn beside(&self, queue: Arc<dyn JobQueue>) -> Self {
        Self::with(self.shared.clone(), queue).await
    }

    async fn with(shared: Shared, queue: Arc<dyn JobQueue>) -> Self {
        let (limits, work) = (Limits::default(), shared.dir.path());
        let audio = AudioLimits::from(&limits);
        let songs = SongService::builder(
            Arc::clone(&shared.songs) as _,
            Arc::new(FileBlobs::open(&work.join("blobs")).await.unwrap()),
            Arc::clone(&queue),
        )
        .with_coordination(Arc::clone(&shared.coordination) as _)
        .with_probe(Arc::new(FileProbe::new(audio)))
        .with_renderer(Arc::new(AudioRenderer::new(work, audio)))
        .with_results(Arc::new(TarResults::new(limits)))
        .build();
        let accounts =
            AccountService::builder(Arc::new(MemoryAccounts::default()), Arc::new(Argon2Passwords::new(1).unwrap()))
                .build();
        let worker_tokens = vec![Secret::new(WORKER_TOKEN.to_owned())];
        let settings = HttpSettings { worker_tokens, ..HttpSettings::default() };
        let server = Server::new(songs.clone(), accounts, settings).unwrap().without_background();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { server.run(listener, stop_signal(stopped)).await.unwrap() });
        Self { address, songs, queue, shared, stop }
    }
}

impl Drop for SmallService {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Waits until a condition holds.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    for _ in 0..1000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out waiting until {what}");
}

/// Uploads an anonymous song.
pub(super) async fn upload(service: &SmallService, bytes: &[u8]) -> vocalizer_client::SongId {
    let client = vocalizer_client::Client::builder(format!("http://{}", service.address)).build().unwrap();
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    client.upload(vocalizer_client::Upload::from_bytes("x", "x.wav", bytes)).await.unwrap().id
}
