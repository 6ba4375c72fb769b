//! The part of the shared state that each server keeps for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use vocalizer_core::ports::ProgressReport;
use vocalizer_core::service::LocalCoordination;
use vocalizer_core::song::SongHash;

use super::locks::Locks;

/// Local state of this server.
#[derive(Clone)]
pub(super) struct LocalState {
    pub(super) locks: Locks,
    /// Local locks, which queue the callers of this server in order.
    pub(super) local: Arc<LocalCoordination>,
    pub(super) sweeping: Arc<tokio::sync::Mutex<()>>,
    /// Unchanged progress reports that were not written.
    unwritten: Arc<Mutex<HashMap<SongHash, ProgressReport>>>,
}

impl LocalState {
    pub(super) fn new(pool: PgPool, patience: Duration) -> Self {
        Self {
            locks: Locks::new(pool, patience),
            local: Arc::default(),
            sweeping: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    pub(super) fn unwritten(&self) -> MutexGuard<'_, HashMap<SongHash, ProgressReport>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
