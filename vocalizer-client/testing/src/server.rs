//! The test server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vocalizer_client::webhooks::HttpWebhooks;
use vocalizer_client::{Client, ErrorCode};
use vocalizer_core::memory::{
    MemoryAccounts, MemoryAdministration, MemoryAudit, MemoryBlobs, MemorySongs, PlainPasswords,
};
use vocalizer_core::ports::{BlobStore, Clock};
use vocalizer_core::service::{
    AccountService, AccountSettings, AdminService, AdminStores, LocalCoordination, SongService, SongSettings,
};
use vocalizer_core::worker::{Worker, WorkerSettings};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_queue::MemoryQueue;

use crate::fakes::{FakeRenderer, FakeSeparator};
use crate::time::TestClock;

/// The time between sweeps, on the test clock.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A running server with a worker. Dropping it stops both, and forgets everything.
pub struct TestServer {
    address: SocketAddr,
    separator: Arc<FakeSeparator>,
    clock: Arc<TestClock>,
    admin: AdminService,
    traffic: Arc<Mutex<Traffic>>,
    _tasks: JoinSet<()>,
}

/// The requests so far, and the failures to come.
#[derive(Default)]
struct Traffic {
    requests: Vec<String>,
    failures: Vec<Planned>,
}

/// A failure of the next request, or of the next one to a place.
struct Planned {
    request: Option<String>,
    code: ErrorCode,
}

impl Traffic {
    fn receive(&mut self, method: &str, path: &str) -> Option<ErrorCode> {
        let request = format!("{method} {path}");
        let fails = |planned: &Planned| planned.request.as_ref().is_none_or(|planned| *planned == request);
        let failure = self.failures.iter().position(fails).map(|index| self.failures.remove(index).code);
        self.requests.push(request);
        failure
    }
}

fn lock(traffic: &Mutex<Traffic>) -> MutexGuard<'_, Traffic> {
    traffic.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (users, stored, audit) =
            (Arc::<MemoryAccounts>::default(), Arc::<MemorySongs>::default(), Arc::<MemoryAudit>::default());
        let blobs: Arc<dyn BlobStore> = Arc::new(MemoryBlobs::default());
        let stores = AdminStores {
            administration: Arc::new(MemoryAdministration::new(Arc::clone(&users), Arc::clone(&stored))),
            songs: Arc::clone(&stored) as _,
            blobs: Some(Arc::clone(&blobs)),
            coordination: Arc::<LocalCoordination>::default(),
            audit: Arc::clone(&audit) as _,
            has_locks: true,
        };
        let songs = SongService::builder_with_clock(stored, blobs, Arc::clone(&queue) as _, Arc::clone(&clock) as _)
            .with_coordination(Arc::clone(&stores.coordination))
            .with_renderer(Arc::new(FakeRenderer))
            .with_webhooks(Arc::new(HttpWebhooks::new(true, true)))
            .with_settings(songs)
            .build();
        let accounts = AccountService::builder_with_clock(users, Arc::new(PlainPasswords), Arc::clone(&clock) as _)
            .with_audit(audit)
            .with_settings(accounts)
            .build();
        let admin = AdminService::new(accounts.clone(), stores, "test").within(songs.clone());
        let traffic = Arc::<Mutex<Traffic>>::default();
        let log = Arc::clone(&traffic);
        let server = Server::new(songs.clone(), accounts, HttpSettings::default())
            .expect("consistent routes")
            .with_administration(admin.clone())
            .with_sweep_interval(SWEEP_INTERVAL)
            .with_interceptor(move |method, path| lock(&log).receive(method, path));
        let separator = Arc::new(FakeSeparator::new());
        let settings = WorkerSettings { first_backoff: Duration::from_millis(10), ..WorkerSettings::default() };
        let worker = Worker::builder_with_clock(
            queue,
            Arc::new(songs),
            Arc::clone(&separator) as _,
            Arc::clone(&clock) as Arc<dyn Clock>,
        )
        .with_settings(settings)
        .build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.run(listener, std::future::pending()).await.expect("background work") });
        tasks.spawn(async move { worker.run(std::future::pending()).await });
        Self { address, separator, clock, admin, traffic, _tasks: tasks }
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

    /// Makes a registered user an administrator.
    ///
    /// # Panics
    ///
    /// If there is no such user.
    #[expect(clippy::expect_used, reason = "for tests, which have nothing to handle")]
    pub async fn make_administrator(&self, username: &str) {
        let user = self.admin.user(username).await.expect("a registered user");
        self.admin.set_administrator(user.id, true).await.expect("a user that exists");
    }

    /// Lets the next request fail with this error code. Repeated calls fail as many requests, in this order.
    ///
    /// A client may retry: [`ErrorCode::Unavailable`] is transient, [`ErrorCode::Internal`] is not.
    pub fn fail_next(&self, code: ErrorCode) {
        lock(&self.traffic).failures.push(Planned { request: None, code });
    }

    /// Like [`fail_next`](Self::fail_next), for the next request with this method and path, such as `POST` and
    /// `/songs/upload`. Other requests pass: a client may ask for the limits before it uploads.
    pub fn fail_next_on(&self, method: &str, path: &str, code: ErrorCode) {
        lock(&self.traffic).failures.push(Planned { request: Some(format!("{method} {path}")), code });
    }

    /// Returns the requests so far, oldest first, such as `POST /songs/upload`. Queries are left out.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.traffic).requests.clone()
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

    /// Sets the server's clock forward, so that sessions and API tokens expire.
    pub fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
    }
}
