//! Locks by song hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::song::SongHash;

/// Serialises storing and deleting the blobs of a hash within this process.
#[derive(Default)]
pub(super) struct LocalLocks {
    held: Arc<Mutex<HashMap<SongHash, Arc<AsyncMutex<()>>>>>,
}

/// Permission to store or delete the blobs of a hash.
pub(super) struct HashGuard {
    hash: SongHash,
    held: Arc<Mutex<HashMap<SongHash, Arc<AsyncMutex<()>>>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl LocalLocks {
    pub(super) async fn lock(&self, hash: &SongHash) -> HashGuard {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(held.entry(*hash).or_default())
        };
        let guard = lock.lock_owned().await;
        HashGuard { hash: *hash, held: Arc::clone(&self.held), guard: Some(guard) }
    }
}

impl Drop for HashGuard {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.guard.take());
        // Removed when no task holds or awaits it. A cancelled wait leaves its entry to the next holder.
        if held.get(&self.hash).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            held.remove(&self.hash);
        }
    }
}
