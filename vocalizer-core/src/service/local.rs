//! Shared state of a single server.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::locks::LocalLocks;
use crate::ports::{HashLocks, Held, ProgressReport, ProgressStore, RepositoryError, Tombstones};
use crate::song::SongHash;

/// How many deleted hashes are kept, so that a late worker learns that its song was deleted.
const MOST_GONE: usize = 10_000;

/// How long a progress report is kept if it is never cleared.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// [`Coordination`](crate::ports::Coordination) for one process: in memory, lost at a restart.
#[derive(Default)]
pub struct LocalCoordination {
    locks: LocalLocks,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heard: HashMap<SongHash, ProgressReport>,
    gone: HashSet<SongHash>,
    gone_in_order: VecDeque<SongHash>,
}

impl LocalCoordination {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HashLocks for LocalCoordination {
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError> {
        Ok(Box::new(self.locks.lock(hash).await))
    }

    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError> {
        Ok(Some(Box::new(())))
    }
}

#[async_trait]
impl ProgressStore for LocalCoordination {
    async fn record_progress(&self, hash: &SongHash, heard: ProgressReport) -> Result<(), RepositoryError> {
        self.state().heard.insert(*hash, heard);
        Ok(())
    }

    async fn progress(&self, hash: &SongHash) -> Result<Option<ProgressReport>, RepositoryError> {
        Ok(self.state().heard.get(hash).copied())
    }

    async fn clear_progress(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.state().heard.remove(hash);
        Ok(())
    }

    async fn forget_old_progress(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.state().heard.retain(|_, heard| now - heard.at < REMEMBERED);
        Ok(())
    }
}

#[async_trait]
impl Tombstones for LocalCoordination {
    async fn record_deletion(&self, hash: &SongHash, _now: OffsetDateTime) -> Result<(), RepositoryError> {
        let mut state = self.state();
        state.heard.remove(hash);
        if state.gone.insert(*hash) {
            state.gone_in_order.push_back(*hash);
        }
        if state.gone_in_order.len() > MOST_GONE
            && let Some(oldest) = state.gone_in_order.pop_front()
        {
            state.gone.remove(&oldest);
        }
        Ok(())
    }

    async fn was_deleted(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        Ok(self.state().gone.contains(hash))
    }

    /// The oldest are dropped as new ones are recorded.
    async fn forget_old_deletions(&self, _now: OffsetDateTime) -> Result<(), RepositoryError> {
        Ok(())
    }
}
