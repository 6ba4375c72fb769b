//! Counts attempts in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::ports::{Attempts, RepositoryError, ThrottleSettings, Tries};

/// [`Attempts`] in memory of this process; lost when it ends.
#[derive(Debug)]
pub struct Throttle {
    max_keys: usize,
    tries: Mutex<HashMap<String, Tries>>,
}

impl Default for Throttle {
    /// At most 100,000 keys.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl Throttle {
    /// Returns an empty counter. Above `max_keys`, the entries that expire first are dropped.
    #[must_use]
    pub fn new(max_keys: usize) -> Self {
        Self { max_keys, tries: Mutex::default() }
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<String, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

#[async_trait]
impl Attempts for Throttle {
    async fn attempt(
        &self,
        key: &str,
        settings: &ThrottleSettings,
        now: OffsetDateTime,
    ) -> Result<Option<Duration>, RepositoryError> {
        let mut tries = self.tries();
        let now_us = micros(now);
        match Tries::after(tries.get(key).copied(), settings, now_us) {
            Err(wait) => return Ok(Some(wait)),
            Ok(after) => tries.insert(key.to_owned(), after),
        };
        if tries.len() > self.max_keys {
            tries.retain(|_, tries| tries.forgotten_us > now_us);
            // Drop half at once, so that a flood of keys does not cost a search per key.
            if tries.len() > self.max_keys {
                let mut due: Vec<_> = tries.values().map(|tries| tries.forgotten_us).collect();
                let (_, median, _) = due.select_nth_unstable(tries.len() / 2);
                let median = *median;
                tries.retain(|_, tries| tries.forgotten_us > median);
            }
        }
        Ok(None)
    }

    async fn succeed(&self, key: &str) -> Result<(), RepositoryError> {
        self.tries().remove(key);
        Ok(())
    }

    async fn take_back(&self, key: &str, now: OffsetDateTime) -> Result<(), RepositoryError> {
        if let Some(tries) = self.tries().get_mut(key) {
            *tries = tries.taken_back(micros(now));
        }
        Ok(())
    }

    async fn forget(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.tries().retain(|_, tries| tries.forgotten_us > micros(now));
        Ok(())
    }
}
