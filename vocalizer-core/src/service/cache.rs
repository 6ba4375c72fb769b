//! What was made of songs and is kept: bounded, least recently used first.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::{Event, EventListener};
use time::OffsetDateTime;

use crate::ports::{BlobError, BlobKey, BlobStore, Clock, MadeBlob};
use crate::song::SongHash;

/// How often the store is asked what there is: others may have made or removed something.
const RELOAD: Duration = Duration::from_secs(6 * 60 * 60);

/// The renditions and peaks in the store, and who uses them. Clones share it.
#[derive(Clone)]
pub(super) struct Cache(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something was removed.
    removed: Event,
    /// There may be something to remove.
    excess: Event,
}

#[derive(Default)]
struct State {
    /// When the store was last asked what there is.
    loaded: Option<Duration>,
    entries: HashMap<BlobKey, Entry>,
    /// The same by their last use, for finding the oldest.
    by_use: BTreeSet<(OffsetDateTime, BlobKey)>,
    /// What the entries and the files that are not kept take.
    total_bytes: u64,
    /// The last known bound.
    max_bytes: Option<u64>,
}

struct Entry {
    size_bytes: u64,
    used: OffsetDateTime,
    users: usize,
    /// The store is removing it. Whoever wants it waits for the end of that.
    leaving: bool,
}

/// A blob that is in use. It stays until the last of these is dropped.
pub(super) struct Pin {
    cache: Cache,
    key: BlobKey,
}

/// Room that a file takes which is not kept.
pub(super) struct Passing {
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

    /// Notes that a blob is in use, whether it is there yet or not. Where it is being removed, waits for the end of that.
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
        let entry = state.entries.entry(key).or_insert(Entry { size_bytes: 0, used: now, users: 0, leaving: false });
        if entry.leaving {
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

    /// Counts a file that is not kept.
    pub(super) fn pass(&self, size_bytes: u64) -> Passing {
        let mut state = self.state();
        state.total_bytes = state.total_bytes.saturating_add(size_bytes);
        Passing { cache: self.clone(), size_bytes }
    }

    /// The bytes of a hash were deleted.
    pub(super) fn forget(&self, hash: &SongHash) {
        let mut state = self.state();
        let gone: Vec<_> = state.entries.keys().filter(|key| key.hash() == hash).copied().collect();
        for key in gone {
            // Those in use are forgotten with their last user.
            state.resize(key, 0);
            state.drop_unused(key);
        }
    }

    /// Wakes when there may be something to remove.
    pub(super) fn excess(&self) -> EventListener {
        self.0.excess.listen()
    }

    /// How many bytes are known of.
    pub(super) fn total_bytes(&self) -> u64 {
        self.state().total_bytes
    }

    /// Removes what was used longest ago until no more than `max_bytes` are left, or all that is left is in use.
    ///
    /// # Errors
    ///
    /// Those of the store; what is left is for the next time.
    pub(super) async fn trim(&self, blobs: &dyn BlobStore, max_bytes: u64) -> Result<(), BlobError> {
        self.reload(blobs).await?;
        self.state().max_bytes = Some(max_bytes);
        while let Some(leaving) = self.leave(max_bytes) {
            blobs.delete(&leaving.key).await?;
            tracing::debug!(key = %leaving.key, "a rendition was removed");
            leaving.left();
        }
        Ok(())
    }

    /// Asks the store what there is, unless that was not long ago.
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
        // Those that are younger than the question may be missing in the answer.
        let gone = |(key, entry): (&BlobKey, &Entry)| {
            let is_gone = entry.users == 0 && !entry.leaving && entry.used < asked && !there.contains_key(key);
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
                Entry { size_bytes: 0, used, users: 0, leaving: false }
            });
            state.resize(key, size_bytes);
        }
        Ok(())
    }

    /// Chooses what is to be removed next.
    fn leave(&self, max_bytes: u64) -> Option<Leaving> {
        let mut state = self.state();
        if state.total_bytes <= max_bytes {
            return None;
        }
        let is_free = |key: &BlobKey| state.entries.get(key).is_some_and(|entry| entry.users == 0 && !entry.leaving);
        let key = state.by_use.iter().map(|(_, key)| *key).find(is_free)?;
        state.entries.get_mut(&key)?.leaving = true;
        Some(Leaving { cache: self.clone(), key })
    }
}

impl State {
    fn resize(&mut self, key: BlobKey, size_bytes: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            self.total_bytes = self.total_bytes.saturating_sub(entry.size_bytes).saturating_add(size_bytes);
            entry.size_bytes = size_bytes;
        }
    }

    /// Forgets a blob that is not there and that nobody uses.
    fn drop_unused(&mut self, key: BlobKey) {
        if self.entries.get(&key).is_some_and(|entry| entry.users == 0 && entry.size_bytes == 0 && !entry.leaving)
            && let Some(entry) = self.entries.remove(&key)
        {
            self.by_use.remove(&(entry.used, key));
        }
    }
}

/// A blob that is being removed. Dropped before its end, it is as it was: the store may have removed it or not.
struct Leaving {
    cache: Cache,
    key: BlobKey,
}

impl Leaving {
    fn left(self) {
        self.cache.state().resize(self.key, 0);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        if let Some(entry) = state.entries.get_mut(&self.key) {
            entry.leaving = false;
        }
        state.drop_unused(self.key);
        drop(state);
        self.cache.0.removed.notify(usize::MAX);
    }
}

impl Pin {
    /// The blob is there, and so large.
    pub(super) fn is(&self, size_bytes: u64) {
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

impl Drop for Passing {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        state.total_bytes = state.total_bytes.saturating_sub(self.size_bytes);
    }
}
