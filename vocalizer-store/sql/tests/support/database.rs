//! PostgreSQL databases for the tests of stores and queues.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use vocalizer_core::ports::LeaseId;
use vocalizer_core::secret::Secret;

use super::server::shared;

/// A temporary database, dropped with this value.
pub(super) struct TestDatabase {
    server: String,
    pub(super) name: String,
}

impl TestDatabase {
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

    /// Opens a direct connection.
    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // The test may have stopped its server.
                let Ok(mut server) = PgConnection::connect(&server).await else { return };
                execute(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
                execute(&mut server, &format!("DROP ROLE IF EXISTS {name}")).await;
            });
        });
        let _ = dropped.join();
    }
}

pub(super) async fn execute(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}
