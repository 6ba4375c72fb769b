//! How much is open at once, in all and by key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what is open, for as long as each [`Taken`] lives: connections by address, event streams and mixes by client.
#[derive(Debug)]
pub struct Tally<K> {
    most: usize,
    most_per_key: usize,
    open: Open<K>,
}

type Open<K> = Arc<Mutex<HashMap<K, usize>>>;

/// Something that is counted. Dropping it makes room for another one.
#[derive(Debug)]
pub struct Taken<K: Copy + Eq + Hash> {
    key: K,
    open: Open<K>,
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// That of all keys together.
    All,
    /// That of one key.
    Key,
}

impl<K: Copy + Eq + Hash> Tally<K> {
    /// Nothing yet, and at most so many in all and by key.
    #[must_use]
    pub fn new(most: usize, most_per_key: usize) -> Self {
        Self { most, most_per_key, open: Open::default() }
    }

    /// Counts one more. It does not wait.
    ///
    /// # Errors
    ///
    /// The bound that is reached.
    pub fn take(&self, key: K) -> Result<Taken<K>, Bound> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&key).copied().unwrap_or_default();
        if count >= self.most_per_key {
            return Err(Bound::Key);
        }
        if open.values().sum::<usize>() >= self.most {
            return Err(Bound::All);
        }
        open.insert(key, count + 1);
        Ok(Taken { key, open: Arc::clone(&self.open) })
    }
}

impl<K: Copy + Eq + Hash> Drop for Taken<K> {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}
