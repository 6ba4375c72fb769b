//! Counts open resources, in total and per key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open resources while their [`Taken`] lives: connections by address, event streams and mixes by client.
///
/// ```
/// use vocalizer_core::tally::{Bound, Tally};
///
/// let streams = Tally::new(100, 1);
/// let first = streams.take("ada");
/// assert_eq!(streams.take("ada").err(), Some(Bound::Key));
/// drop(first);
/// assert!(streams.take("ada").is_ok());
/// ```
#[derive(Debug)]
pub struct Tally<K> {
    most: usize,
    most_per_key: usize,
    open: Open<K>,
}

type Open<K> = Arc<Mutex<HashMap<K, usize>>>;

/// A counted resource. Dropping it frees its place.
#[derive(Debug)]
pub struct Taken<K: Copy + Eq + Hash> {
    key: K,
    open: Open<K>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The total limit.
    All,
    /// The limit per key.
    Key,
}

impl<K: Copy + Eq + Hash> Tally<K> {
    /// Returns an empty tally with these limits, in total and per key.
    #[must_use]
    pub fn new(most: usize, most_per_key: usize) -> Self {
        Self { most, most_per_key, open: Open::default() }
    }

    /// Counts one more, without waiting.
    ///
    /// # Errors
    ///
    /// The limit that is reached.
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
