use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use vocalizer_core::account::UserId;
use vocalizer_core::secret::Secret;
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};

use super::server::shared;

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
        let name = format!("test_{}", UserId::random()).replace('-', "_");
        let mut server_itself = PgConnection::connect(server).await.unwrap();
        execute(&mut server_itself, &format!("CREATE DATABASE {name}")).await;
        Self { server: server.to_owned(), name }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.server.parse::<PgConnectOptions>().unwrap().database(&self.name)
    }

    /// Where it is, for somebody with a password.
    pub(super) fn url_for(&self, user: &str, password: &str) -> Secret<String> {
        let options = self.options();
        let (host, port, name) = (options.get_host(), options.get_port(), &self.name);
        Secret::new(format!("postgres://{user}:{password}@{host}:{port}/{name}"))
    }

    /// Where it is, for one who may do everything.
    pub(super) fn url(&self) -> Secret<String> {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        Secret::new(format!("{server}/{}", self.name))
    }

    /// The store as another server opens it.
    pub(super) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), settings()).await.unwrap()
    }

    /// A connection past all stores.
    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            block_on(async {
                // A server of the test's own may be gone.
                let Ok(mut server) = PgConnection::connect(&server).await else { return };
                execute(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                execute(&mut server, &format!("DROP ROLE IF EXISTS {name}")).await;
            });
        });
        let _ = dropped.join();
    }
}

/// Few connections, since many tests run at once.
pub(super) fn settings() -> PostgresSettings {
    PostgresSettings { max_connections: 4, acquire_timeout: Duration::from_secs(30), ..PostgresSettings::default() }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) async fn execute(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}
