//! The test server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vocalizer_client::{Client, ErrorCode};
use vocalizer_core::memory::{MemoryAccounts, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::Clock;
use vocalizer_core::service::{
    AccountPorts, AccountService, AccountSettings, LocalCoordination, SongPorts, SongService, SongSettings, Throttle,
};
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_queue::MemoryQueue;

use crate::fakes::{AnySong, FakeRenderer, FakeSeparator, NoResults, PlainPasswords};
use crate::time::TestClock;

/// The time between sweeps, on the test clock.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A running server with a worker. Dropping it stops both, and forgets everything.
pub struct TestServer {
    address: SocketAddr,
    separator: Arc<FakeSeparator>,
    clock: Arc<TestClock>,
    /// The codes of the next responses, the last one first.
    failures: Arc<Mutex<Vec<ErrorCode>>>,
    _tasks: JoinSet<()>,
}

impl TestServer {
    /// Starts a server on a free port of the loopback interface.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start() -> Self {
        Self::start_with(SongSettings::default(), AccountSettings::default()).await
    }

    /// Starts a server with these settings: limits, quotas, retention, registration.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    #[expect(clippy::expect_used, reason = "for tests, which have nothing to handle")]
    pub async fn start_with(songs: SongSettings, accounts: AccountSettings) -> Self {
        let clock = Arc::new(TestClock::new());
        let queue = Arc::new(MemoryQueue::new(Duration::from_secs(60)));
        let ports = SongPorts {
            songs: Arc::new(MemorySongs::default()),
            coordination: Arc::new(LocalCoordination::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            queue: Arc::clone(&queue) as _,
            probe: Arc::new(AnySong),
            renderer: Arc::new(FakeRenderer),
            results: Arc::new(NoResults),
            clock: Arc::clone(&clock) as _,
        };
        let songs = SongService::new(ports, songs);
        let ports = AccountPorts {
            accounts: Arc::new(MemoryAccounts::default()),
            attempts: Arc::new(Throttle::default()),
            passwords: Arc::new(PlainPasswords),
            clock: Arc::clone(&clock) as _,
        };
        let accounts = AccountService::new(ports, accounts);
        let failures = Arc::new(Mutex::new(Vec::new()));
        let next = Arc::clone(&failures);
        let server = Server::new(songs.clone(), accounts, HttpSettings::default())
            .expect("consistent routes")
            .with_sweep_interval(SWEEP_INTERVAL)
            .with_interceptor(move |_, _| next.lock().unwrap_or_else(PoisonError::into_inner).pop());
        let separator = Arc::new(FakeSeparator::new());
        let settings = WorkerSettings { first_backoff: Duration::from_millis(10), ..WorkerSettings::default() };
        let ports = WorkerPorts {
            queue,
            backend: Arc::new(songs),
            separator: Arc::clone(&separator) as _,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let worker = Worker::new(ports, settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.run(listener, std::future::pending()).await.expect("background work") });
        tasks.spawn(async move { worker.run(std::future::pending()).await });
        Self { address, separator, clock, failures, _tasks: tasks }
    }

    /// Returns the address, such as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a client without a login.
    ///
    /// # Panics
    ///
    /// If the client cannot be set up.
    #[must_use]
    #[expect(clippy::expect_used, reason = "for tests, which have nothing to handle")]
    pub fn client(&self) -> Client {
        Client::builder(self.url()).build().expect("a client without TLS")
    }

    /// Lets the next request fail with this error code. Repeated calls fail as many requests, in this order.
    ///
    /// A client may retry: [`ErrorCode::Unavailable`] is transient, [`ErrorCode::Internal`] is not.
    pub fn fail_next(&self, code: ErrorCode) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(0, code);
    }

    /// Lets the next song that is split fail for this reason. Repeated calls fail as many songs, in this order.
    pub fn fail_next_song(&self, reason: &str) {
        self.separator.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(0, reason.to_owned());
    }

    /// Holds songs in the middle of their separation, until [`release_songs`](Self::release_songs).
    pub fn hold_songs(&self) {
        self.separator.held.send_replace(true);
    }

    /// Lets held songs finish.
    pub fn release_songs(&self) {
        self.separator.held.send_replace(false);
    }

    /// Sets the server's clock forward, so that sessions and songs expire.
    pub fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
    }
}
