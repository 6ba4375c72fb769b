use std::sync::Arc;

use async_trait::async_trait;
use vocalizer_conformance::accounts::AccountsPlace;
use vocalizer_conformance::administration::{AdministeredStores, AdministrationPlace};
use vocalizer_conformance::songs::SongsPlace;
use vocalizer_core::account::UserId;
use vocalizer_core::ports::{AccountRepository, SongRepository};

use super::support::{TestFile, user};

#[async_trait]
impl SongsPlace for TestFile {
    async fn songs(&self) -> Arc<dyn SongRepository> {
        Arc::new(self.open().await)
    }

    async fn user(&self) -> UserId {
        user(&self.open().await).await
    }
}

#[async_trait]
impl AccountsPlace for TestFile {
    async fn accounts(&self) -> Arc<dyn AccountRepository> {
        Arc::new(self.open().await)
    }
}

#[async_trait]
impl AdministrationPlace for TestFile {
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
    use super::TestFile;

    vocalizer_conformance::songs_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestFile::new()
    );
}

mod accounts {
    use super::TestFile;

    vocalizer_conformance::accounts_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestFile::new()
    );
}

mod webhooks {
    use super::TestFile;

    vocalizer_conformance::webhooks_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestFile::new()
    );
}

mod administration {
    use super::TestFile;

    vocalizer_conformance::administration_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        TestFile::new()
    );
}
