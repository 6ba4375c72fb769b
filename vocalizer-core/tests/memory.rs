//! Conformance tests of the memory adapters.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_conformance::accounts::AccountsPlace;
use vocalizer_conformance::administration::{AdministeredStores, AdministrationPlace};
use vocalizer_conformance::attempts::AttemptsPlace;
use vocalizer_conformance::blobs::BlobsPlace;
use vocalizer_conformance::coordination::CoordinationPlace;
use vocalizer_conformance::songs::SongsPlace;
use vocalizer_core::account::{Account, PasswordHash, UserId};
use vocalizer_core::memory::{MemoryAccounts, MemoryAdministration, MemoryAudit, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{AccountRepository, Attempts, BlobStore, Coordination, SongRepository};
use vocalizer_core::service::{LocalCoordination, Throttle};

/// Always opens the same instances: in memory there is no restart.
#[derive(Default)]
struct Fixture {
    songs: Arc<MemorySongs>,
    accounts: Arc<MemoryAccounts>,
    audit: Arc<MemoryAudit>,
    blobs: MemoryBlobs,
    coordination: Arc<LocalCoordination>,
    attempts: Arc<Throttle>,
}

#[async_trait]
impl SongsPlace for Fixture {
    async fn songs(&self) -> Arc<dyn SongRepository> {
        Arc::clone(&self.songs) as _
    }

    async fn user(&self) -> UserId {
        let (id, registered_at) = (UserId::random(), OffsetDateTime::UNIX_EPOCH);
        let username = format!("user{}", &id.to_string()[..8]).parse().unwrap();
        let password_hash = PasswordHash::new(String::new());
        self.accounts.insert(&Account { id, username, password_hash, registered_at }).await.unwrap();
        id
    }
}

#[async_trait]
impl AccountsPlace for Fixture {
    async fn accounts(&self) -> Arc<dyn AccountRepository> {
        Arc::clone(&self.accounts) as _
    }
}

#[async_trait]
impl AdministrationPlace for Fixture {
    async fn stores(&self) -> AdministeredStores {
        let administration = MemoryAdministration::new(Arc::clone(&self.accounts), Arc::clone(&self.songs));
        AdministeredStores {
            songs: Arc::clone(&self.songs) as _,
            accounts: Arc::clone(&self.accounts) as _,
            administration: Arc::new(administration),
            audit: Arc::clone(&self.audit) as _,
        }
    }
}

#[async_trait]
impl BlobsPlace for Fixture {
    async fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.blobs.clone())
    }
}

#[async_trait]
impl CoordinationPlace for Fixture {
    async fn coordination(&self) -> Arc<dyn Coordination> {
        Arc::clone(&self.coordination) as _
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[async_trait]
impl AttemptsPlace for Fixture {
    async fn attempts(&self) -> Arc<dyn Attempts> {
        Arc::clone(&self.attempts) as _
    }
}

mod coordination {
    use super::Fixture;

    vocalizer_conformance::coordination_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod attempts {
    use super::Fixture;

    vocalizer_conformance::attempts_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod songs {
    use super::Fixture;

    vocalizer_conformance::songs_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod accounts {
    use super::Fixture;

    vocalizer_conformance::accounts_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod administration {
    use super::Fixture;

    vocalizer_conformance::administration_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod blobs {
    use super::Fixture;

    vocalizer_conformance::blobs_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}

mod webhooks {
    use super::Fixture;

    vocalizer_conformance::webhooks_conformance!(
        #[tokio::test]
        Fixture::default()
    );
}
