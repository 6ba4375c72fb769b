//! The shared state of several servers, kept in the database. Locks are released when their server crashes, because its
//! tasks hold them.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::lock::Mutex as AsyncMutex;
use time::OffsetDateTime;
use vocalizer_core::ports::{Commons, Heard, Held, RepositoryError};
use vocalizer_core::service::LocalCommons;
use vocalizer_core::song::SongHash;

use super::kernel::{Component, Kernel};

pub(crate) struct SharedCommons {
    kernel: Arc<Kernel>,
    /// Survives server crashes, like the database.
    memory: LocalCommons,
    sweeping: Arc<AsyncMutex<()>>,
}

impl SharedCommons {
    pub(crate) fn new(kernel: &Arc<Kernel>) -> Arc<Self> {
        Arc::new(Self { kernel: Arc::clone(kernel), memory: LocalCommons::default(), sweeping: Arc::default() })
    }

    async fn call<T>(
        &self,
        effect: impl Future<Output = Result<T, RepositoryError>> + Send,
    ) -> Result<T, RepositoryError> {
        let effect = || effect.now_or_never().expect("memory does not wait");
        let called = self.kernel.call(Component::Database, effect).await;
        called.map_err(|error| RepositoryError::Unavailable(Box::new(error)))?
    }
}

#[async_trait]
impl Commons for SharedCommons {
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError> {
        self.call(async { Ok(()) }).await?;
        let held = self.memory.lock(hash).await?;
        // The call may be dropped here while it holds the lock.
        self.call(async { Ok(()) }).await?;
        Ok(held)
    }

    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError> {
        let taken = || async { Ok(self.sweeping.try_lock_owned().map(|held| Box::new(held) as Held)) };
        self.call(taken()).await
    }

    async fn hear(&self, hash: &SongHash, heard: Heard) -> Result<(), RepositoryError> {
        self.call(self.memory.hear(hash, heard)).await
    }

    async fn heard(&self, hash: &SongHash) -> Result<Option<Heard>, RepositoryError> {
        self.call(self.memory.heard(hash)).await
    }

    async fn rest(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.call(self.memory.rest(hash)).await
    }

    async fn bury(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.call(self.memory.bury(hash, now)).await
    }

    async fn was_there(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        self.call(self.memory.was_there(hash)).await
    }

    async fn tidy(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.call(self.memory.tidy(now)).await
    }
}
