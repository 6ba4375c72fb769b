//! The shared state of several servers, kept in the database. Locks are released when their server crashes, because its
//! tasks hold them.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::lock::Mutex as AsyncMutex;
use time::OffsetDateTime;
use vocalizer_core::ports::{HashLocks, Held, ProgressReport, ProgressStore, RepositoryError, Tombstones};
use vocalizer_core::service::LocalCoordination;
use vocalizer_core::song::SongHash;

use super::kernel::{Component, Kernel};

pub(crate) struct SharedCoordination {
    kernel: Arc<Kernel>,
    /// Survives server crashes, like the database.
    memory: LocalCoordination,
    sweeping: Arc<AsyncMutex<()>>,
}

impl SharedCoordination {
    pub(crate) fn new(kernel: &Arc<Kernel>) -> Arc<Self> {
        Arc::new(Self { kernel: Arc::clone(kernel), memory: LocalCoordination::default(), sweeping: Arc::default() })
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
impl HashLocks for SharedCoordination {
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
}

#[async_trait]
impl ProgressStore for SharedCoordination {
    async fn record_progress(&self, hash: &SongHash, heard: ProgressReport) -> Result<(), RepositoryError> {
        self.call(self.memory.record_progress(hash, heard)).await
    }

    async fn progress(&self, hash: &SongHash) -> Result<Option<ProgressReport>, RepositoryError> {
        self.call(self.memory.progress(hash)).await
    }

    async fn clear_progress(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.call(self.memory.clear_progress(hash)).await
    }

    async fn forget_old_progress(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.call(self.memory.forget_old_progress(now)).await
    }
}

#[async_trait]
impl Tombstones for SharedCoordination {
    async fn record_deletion(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.call(self.memory.record_deletion(hash, now)).await
    }

    async fn was_deleted(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        self.call(self.memory.was_deleted(hash)).await
    }

    /// Not a call to the database: the memory drops its oldest records by itself.
    async fn forget_old_deletions(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.memory.forget_old_deletions(now).await
    }
}
