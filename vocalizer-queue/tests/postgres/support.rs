use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use vocalizer_core::ports::{Job, JobPayload, JobQueue, Lease, LeaseId};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

use super::server::shared;

/// Timeout after which a test counts as hanging.
pub(super) const HANGS: Duration = Duration::from_secs(120);

/// A lease duration longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// A temporary database, dropped with this value.
pub(super) struct Place {
    server: String,
    pub(super) name: String,
}

impl Place {
    /// Creates an empty database on the shared server.
    pub(super) async fn new() -> Self {
        Self::on(shared()).await
    }

    /// Creates an empty database on a server.
    pub(super) async fn on(server: &str) -> Self {
        let name = format!("test_{}", LeaseId::random()).replace('-', "_");
        let mut connection = PgConnection::connect(server).await.unwrap();
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        Self { server: server.to_owned(), name }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.server.parse::<PgConnectOptions>().unwrap().database(&self.name)
    }

    /// The URL, with a superuser.
    pub(super) fn url(&self) -> Secret<String> {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        Secret::new(format!("{server}/{}", self.name))
    }

    /// Opens the queue like another server.
    pub(super) async fn open(&self, visibility: Duration) -> PostgresQueue {
        PostgresQueue::open(&self.url(), settings(visibility)).await.unwrap()
    }

    /// Opens a direct connection.
    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // The test may have stopped its server.
                let Ok(mut server) = PgConnection::connect(&server).await else { return };
                execute(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropped.join();
    }
}

/// Long timeouts, because many tests run in parallel.
pub(super) fn settings(visibility: Duration) -> PostgresQueueSettings {
    let acquire_timeout = Duration::from_secs(30);
    PostgresQueueSettings { visibility, acquire_timeout, ..PostgresQueueSettings::default() }
}

pub(super) async fn execute(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

pub(super) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

pub(super) fn job(name: &str) -> Job {
    Job { hash: hash(name), payload: JobPayload::Stored }
}

/// Leases the next job and checks its name.
pub(super) async fn leased(queue: &PostgresQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(HANGS, queue.lease()).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash(name), "not the job of {name}");
    lease
}
