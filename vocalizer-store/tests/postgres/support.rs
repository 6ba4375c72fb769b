use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use vocalizer_core::account::UserId;
use vocalizer_core::secret::Secret;
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};

use super::server::shared;

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
        let name = format!("test_{}", UserId::random()).replace('-', "_");
        let mut connection = PgConnection::connect(server).await.unwrap();
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        Self { server: server.to_owned(), name }
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.server.parse::<PgConnectOptions>().unwrap().database(&self.name)
    }

    /// The URL for a user.
    pub(super) fn url_for(&self, user: &str, password: &str) -> Secret<String> {
        let options = self.options();
        let (host, port, name) = (options.get_host(), options.get_port(), &self.name);
        Secret::new(format!("postgres://{user}:{password}@{host}:{port}/{name}"))
    }

    /// The URL, with a superuser.
    pub(super) fn url(&self) -> Secret<String> {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        Secret::new(format!("{server}/{}", self.name))
    }

    /// Opens the store like another server.
    pub(super) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), settings()).await.unwrap()
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
            block_on(async {
                // The test may have stopped its server.
                let Ok(mut server) = PgConnection::connect(&server).await else { return };
                execute(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                execute(&mut server, &format!("DROP ROLE IF EXISTS {name}")).await;
            });
        });
        let _ = dropped.join();
    }
}

/// Few connections, because many tests run in parallel.
pub(super) fn settings() -> PostgresSettings {
    PostgresSettings { max_connections: 4, acquire_timeout: Duration::from_secs(30), ..PostgresSettings::default() }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) async fn execute(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}
