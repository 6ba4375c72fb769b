//! The cache of renditions and peaks: bounded, with least-recently-used eviction.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;
use time::OffsetDateTime;

use super::change_notifier::Changed;
use crate::ports::{BlobError, BlobKey, BlobStore, Clock, MadeBlob};
use crate::song::SongHash;

/// How often to list the store: other servers may have added or removed files.
const RELOAD: Duration = Duration::from_secs(6 * 60 * 60);

/// The renditions and peaks in the store and their users. Clones share the state.
#[derive(Clone)]
pub(super) struct Cache(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Notified when an entry was removed.
    removed: Event,
    /// Notified when there may be something to evict.
    excess: Event,
}

#[derive(Default)]
struct State {
    /// When the store was last listed.
    loaded: Option<Duration>,
    entries: HashMap<BlobKey, Entry>,
    /// The same entries ordered by last use, to find the oldest.
    by_use: BTreeSet<(OffsetDateTime, BlobKey)>,
    /// Total size of the entries and of files that are not cached.
    total_bytes: u64,
    /// The last known limit.
    max_bytes: Option<u64>,
}

struct Entry {
    size_bytes: u64,
    used: OffsetDateTime,
    users: usize,
    /// The store is removing it. New users wait until that is done.
    removing: bool,
}

/// Protects a blob from eviction until the last pin is dropped.
pub(super) struct Pin {
    cache: Cache,
    key: BlobKey,
}

/// Disk space of a file that is not cached.
pub(super) struct Uncached {
    cache: Cache,
    size_bytes: u64,
}

impl Cache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let (removed, excess) = (Event::new(), Event::new());
        Self(Arc::new(Shared { clock, state: Mutex::default(), removed, excess }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins a blob, whether it exists or not. Waits for a removal in progress.
    pub(super) async fn pin(&self, key: BlobKey) -> Pin {
        loop {
            let removed = self.0.removed.listen();
            if self.try_pin(key) {
                return Pin { cache: self.clone(), key };
            }
            removed.await;
        }
    }

    fn try_pin(&self, key: BlobKey) -> bool {
        let now = self.0.clock.now();
        let mut state = self.state();
        let entry = state.entries.entry(key).or_insert(Entry { size_bytes: 0, used: now, users: 0, removing: false });
        if entry.removing {
            return false;
        }
        let before = entry.used;
        entry.users += 1;
        entry.used = now.max(before);
        let after = entry.used;
        state.by_use.remove(&(before, key));
        state.by_use.insert((after, key));
        true
    }

    /// Counts a file that is not cached.
    pub(super) fn count_uncached(&self, size_bytes: u64) -> Uncached {
        let mut state = self.state();
        state.total_bytes = state.total_bytes.saturating_add(size_bytes);
        Uncached { cache: self.clone(), size_bytes }
    }

    /// Drops the entries of a deleted hash.
    pub(super) fn forget(&self, hash: &SongHash) {
        let mut state = self.state();
        let gone: Vec<_> = state.entries.keys().filter(|key| key.hash() == hash).copied().collect();
        for key in gone {
            // Entries in use are dropped with their last user.
            state.resize(key, 0);
            state.drop_unused(key);
        }
    }

    /// Completes when there may be something to evict.
    pub(super) fn excess(&self) -> Changed {
        Changed(self.0.excess.listen())
    }

    /// Returns the known total size.
    pub(super) fn total_bytes(&self) -> u64 {
        self.state().total_bytes
    }

    /// Evicts the least recently used entries until at most `max_bytes` are left or the rest is in use.
    ///
    /// # Errors
    ///
    /// The errors of the store. The next call does the rest.
    pub(super) async fn trim(&self, blobs: &dyn BlobStore, max_bytes: u64) -> Result<(), BlobError> {
        self.reload(blobs).await?;
        self.state().max_bytes = Some(max_bytes);
        while let Some(removal) = self.next_removal(max_bytes) {
            blobs.delete(&removal.key).await?;
            tracing::debug!(key = %removal.key, "rendition evicted");
            removal.finish();
        }
        Ok(())
    }

    /// Lists the store, unless that was done recently.
    async fn reload(&self, blobs: &dyn BlobStore) -> Result<(), BlobError> {
        let now = self.0.clock.elapsed();
        if self.state().loaded.is_some_and(|loaded| now < loaded.saturating_add(RELOAD)) {
            return Ok(());
        }
        let asked = self.0.clock.now();
        let found = blobs.made().await?;
        let mut state = self.state();
        state.loaded = Some(now);
        let there: HashMap<_, _> = found.into_iter().map(|made| (made.key, made)).collect();
        // Entries newer than the listing may be missing from it.
        let gone = |(key, entry): (&BlobKey, &Entry)| {
            let is_gone = entry.users == 0 && !entry.removing && entry.used < asked && !there.contains_key(key);
            is_gone.then_some(*key)
        };
        let gone: Vec<_> = state.entries.iter().filter_map(gone).collect();
        for key in gone {
            state.resize(key, 0);
            state.drop_unused(key);
        }
        for MadeBlob { key, size_bytes, used } in there.into_values() {
            let State { entries, by_use, .. } = &mut *state;
            entries.entry(key).or_insert_with(|| {
                by_use.insert((used, key));
                Entry { size_bytes: 0, used, users: 0, removing: false }
            });
            state.resize(key, size_bytes);
        }
        Ok(())
    }

    /// Chooses the next entry to evict.
    fn next_removal(&self, max_bytes: u64) -> Option<Removal> {
        let mut state = self.state();
        if state.total_bytes <= max_bytes {
            return None;
        }
        let is_free = |key: &BlobKey| state.entries.get(key).is_some_and(|entry| entry.users == 0 && !entry.removing);
        let key = state.by_use.iter().map(|(_, key)| *key).find(is_free)?;
        state.entries.get_mut(&key)?.removing = true;
        Some(Removal { cache: self.clone(), key })
    }
}

impl State {
    fn resize(&mut self, key: BlobKey, size_bytes: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            self.total_bytes = self.total_bytes.saturating_sub(entry.size_bytes).saturating_add(size_bytes);
            entry.size_bytes = size_bytes;
        }
    }

    /// Drops an entry that does not exist in the store and has no users.
    fn drop_unused(&mut self, key: BlobKey) {
        if self.entries.get(&key).is_some_and(|entry| entry.users == 0 && entry.size_bytes == 0 && !entry.removing)
            && let Some(entry) = self.entries.remove(&key)
        {
            self.by_use.remove(&(entry.used, key));
        }
    }
}

/// An entry being removed. If dropped early, its state is restored: the store may or may not have removed it.
struct Removal {
    cache: Cache,
    key: BlobKey,
}

impl Removal {
    fn finish(self) {
        self.cache.state().resize(self.key, 0);
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        if let Some(entry) = state.entries.get_mut(&self.key) {
            entry.removing = false;
        }
        state.drop_unused(self.key);
        drop(state);
        self.cache.0.removed.notify(usize::MAX);
    }
}

impl Pin {
    /// Records that the blob exists, and its size.
    pub(super) fn set_size(&self, size_bytes: u64) {
        self.cache.state().resize(self.key, size_bytes);
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pin").field(&self.key).finish()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        if let Some(entry) = state.entries.get_mut(&self.key) {
            entry.users -= 1;
        }
        state.drop_unused(self.key);
        let excess = state.max_bytes.is_some_and(|max_bytes| state.total_bytes > max_bytes);
        drop(state);
        if excess {
            self.cache.0.excess.notify(usize::MAX);
        }
    }
}

impl Drop for Uncached {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        state.total_bytes = state.total_bytes.saturating_sub(self.size_bytes);
    }
}
