use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use vocalizer_core::ports::{Job, JobPayload, JobQueue, Lease, LeaseId};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

use super::server::shared;

/// Longer than anything takes here that does not hang.
pub(super) const HANGS: Duration = Duration::from_secs(120);

/// A lease that does not run out within a test.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// A database of its own, which goes with this value.
pub(super) struct Place {
    server: String,
    pub(super) name: String,
}

impl Place {
    /// An empty one, on the server that all share.
    pub(super) async fn new() -> Self {
        Self::on(shared()).await
    }

    /// An empty one on a server.
    pub(super) async fn on(server: &str) -> Self {
        let name = format!("test_{}", LeaseId::random()).replace('-', "_");
        let mut connection = PgConnection::connect(server).await.unwrap();
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        Self { server: server.to_owned(), name }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.server.parse::<PgConnectOptions>().unwrap().database(&self.name)
    }

    /// Where it is, for one who may do everything.
    pub(super) fn url(&self) -> Secret<String> {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        Secret::new(format!("{server}/{}", self.name))
    }

    /// The queue as another server opens it.
    pub(super) async fn open(&self, visibility: Duration) -> PostgresQueue {
        PostgresQueue::open(&self.url(), settings(visibility)).await.unwrap()
    }

    /// A connection past all queues.
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
                // A server of the test's own may be gone.
                let Ok(mut server) = PgConnection::connect(&server).await else { return };
                execute(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropped.join();
    }
}

/// Patient, since many tests run at once.
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

/// The next job, which has to be this one.
pub(super) async fn leased(queue: &PostgresQueue, name: &str) -> Box<dyn Lease> {
    let lease = tokio::time::timeout(HANGS, queue.lease()).await.expect("no job came").unwrap();
    assert_eq!(lease.job().hash, hash(name), "not the job of {name}");
    lease
}
