//! What the relay remembers between rounds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;

/// The shortest and the longest delay before a job is retried whose song could not be read.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5 * 60));

/// The state of the relay.
#[derive(Default)]
pub(super) struct RelayState {
    /// Held by the current round.
    pub(super) round: AsyncMutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Outbox entries whose outcome could not be stored; `true` if the job is on the queue.
    pub(super) unrecorded: Vec<(i64, bool)>,
    /// Entries whose songs could not be read: the number of failures, and when to retry.
    pub(super) postponed: HashMap<i64, (u32, Duration)>,
}

impl RelayState {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Postpones an entry, longer each time.
    pub(super) fn postpone(&mut self, number: i64, now: Duration) {
        let (shortest, longest) = RETRY_DELAYS;
        // Entries of deleted songs are never removed otherwise.
        self.postponed.retain(|_, (_, until)| *until + longest > now);
        let (failures, until) = self.postponed.entry(number).or_default();
        let doubled = 1_u32.checked_shl(*failures).unwrap_or(u32::MAX);
        *failures = failures.saturating_add(1);
        *until = now.saturating_add(shortest.saturating_mul(doubled).min(longest));
    }
}
