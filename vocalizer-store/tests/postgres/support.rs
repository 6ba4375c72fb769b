use std::future::Future;
use std::time::Duration;

use vocalizer_core::secret::Secret;
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};

pub(super) use super::database::{TestDatabase, execute};

impl TestDatabase {
    /// The URL for a user.
    pub(super) fn url_for(&self, user: &str, password: &str) -> Secret<String> {
        let options = self.options();
        let (host, port, name) = (options.get_host(), options.get_port(), &self.name);
        Secret::new(format!("postgres://{user}:{password}@{host}:{port}/{name}"))
    }

    /// Opens the store like another server.
    pub(super) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url(), settings()).await.unwrap()
    }
}

/// Few connections, because many tests run in parallel.
pub(super) fn settings() -> PostgresSettings {
    PostgresSettings { max_connections: 4, acquire_timeout: Duration::from_secs(30), ..PostgresSettings::default() }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
