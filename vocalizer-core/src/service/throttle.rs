//! Doubling delays for those who guess.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How hard guessing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Attempts that cost nothing.
    pub free: u32,
    /// The delay after the first attempt that does; it doubles with each.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// After so long without an attempt everything is forgotten.
    pub forget_after: Duration,
    /// How many keys are remembered; beyond that those that are due longest are forgotten.
    pub max_keys: usize,
}

impl ThrottleSettings {
    /// For one account: 5 free, then 1 s, doubling to 15 minutes, forgotten after an hour.
    #[must_use]
    pub const fn per_account() -> Self {
        Self {
            free: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(60 * 60),
            max_keys: 100_000,
        }
    }

    /// For one address, behind which a whole house may live: 30 free, then as for an account.
    #[must_use]
    pub const fn per_address() -> Self {
        Self { free: 30, ..Self::per_account() }
    }
}

/// Counts attempts per key. An attempt counts as failed from its beginning, so that a thousand at once do not all slip
/// through before the first has failed; one that succeeds is [taken back](Self::succeed).
pub struct Throttle<K> {
    settings: ThrottleSettings,
    tries: Mutex<HashMap<K, Tries>>,
}

#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    /// No attempt before this.
    next: Duration,
    /// When everything is forgotten.
    forgotten: Duration,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// Nobody has tried anything yet.
    #[must_use]
    pub fn new(settings: ThrottleSettings) -> Self {
        Self { settings, tries: Mutex::default() }
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<K, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt at `now`, a time of [`Clock::elapsed`](crate::ports::Clock::elapsed).
    ///
    /// # Errors
    ///
    /// How long to wait where it may not be made yet; it then does not count.
    pub fn attempt(&self, key: &K, now: Duration) -> Result<(), Duration> {
        let mut tries = self.tries();
        let entry = tries.get(key).copied().filter(|tries| tries.forgotten > now);
        let Tries { count, next, .. } = entry.unwrap_or(Tries { count: 0, next: now, forgotten: now });
        if next > now {
            return Err(next - now);
        }
        let count = count.saturating_add(1);
        let delay = match count.checked_sub(self.settings.free) {
            None | Some(0) => Duration::ZERO,
            Some(over) => self.settings.first.saturating_mul(1_u32.checked_shl(over - 1).unwrap_or(u32::MAX)),
        };
        let next = now.saturating_add(delay.min(self.settings.longest));
        let forgotten = next.saturating_add(self.settings.forget_after);
        tries.insert(key.clone(), Tries { count, next, forgotten });
        if tries.len() > self.settings.max_keys {
            tries.retain(|_, tries| tries.forgotten > now);
            // Half of them at once, so that a flood of keys does not cost a search for each.
            if tries.len() > self.settings.max_keys {
                let mut due: Vec<_> = tries.values().map(|tries| tries.forgotten).collect();
                let (_, median, _) = due.select_nth_unstable(tries.len() / 2);
                let median = *median;
                tries.retain(|_, tries| tries.forgotten > median);
            }
        }
        Ok(())
    }

    /// Forgets a key whose attempt was right.
    pub fn succeed(&self, key: &K) {
        self.tries().remove(key);
    }

    /// Takes back one attempt that was right, and keeps the others: for keys that many share.
    pub fn take_back(&self, key: &K, now: Duration) {
        if let Some(tries) = self.tries().get_mut(key) {
            tries.count = tries.count.saturating_sub(1);
            tries.next = now;
        }
    }
}
