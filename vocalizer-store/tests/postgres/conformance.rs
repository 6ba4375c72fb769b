use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_conformance::accounts::AccountsPlace;
use vocalizer_conformance::administration::{AdministeredStores, AdministrationPlace};
use vocalizer_conformance::attempts::AttemptsPlace;
use vocalizer_conformance::coordination::CoordinationPlace;
use vocalizer_conformance::songs::SongsPlace;
use vocalizer_core::account::UserId;
use vocalizer_core::ports::{AccountRepository, Attempts, Coordination, SongRepository};

use super::support::TestDatabase;
use crate::sqlite::support::user;

#[async_trait]
impl SongsPlace for TestDatabase {
    async fn songs(&self) -> Arc<dyn SongRepository> {
        Arc::new(self.open().await)
    }

    async fn user(&self) -> UserId {
        user(&self.open().await).await
    }
}

#[async_trait]
impl AccountsPlace for TestDatabase {
    async fn accounts(&self) -> Arc<dyn AccountRepository> {
        Arc::new(self.open().await)
    }
}

#[async_trait]
impl CoordinationPlace for TestDatabase {
    async fn coordination(&self) -> Arc<dyn Coordination> {
        Arc::new(self.open().await)
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[async_trait]
impl AttemptsPlace for TestDatabase {
    async fn attempts(&self) -> Arc<dyn Attempts> {
        Arc::new(self.open().await)
    }
}

#[async_trait]
impl AdministrationPlace for TestDatabase {
    async fn stores(&self) -> AdministeredStores {
        let store = Arc::new(self.open().await);
        AdministeredStores {
            songs: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            administration: Arc::clone(&store) as _,
            audit: store,
        }
    }
}

mod songs {
    use super::TestDatabase;

    vocalizer_conformance::songs_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}

mod accounts {
    use super::TestDatabase;

    vocalizer_conformance::accounts_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}

mod coordination {
    use super::TestDatabase;

    vocalizer_conformance::coordination_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}

mod attempts {
    use super::TestDatabase;

    vocalizer_conformance::attempts_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}

mod webhooks {
    use super::TestDatabase;

    vocalizer_conformance::webhooks_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}

mod administration {
    use super::TestDatabase;

    vocalizer_conformance::administration_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestDatabase::new().await
    );
}
