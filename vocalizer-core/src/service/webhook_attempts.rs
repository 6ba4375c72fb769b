//! Counts the attempts to deliver to webhooks.

use std::sync::atomic::{AtomicU64, Ordering};

/// The attempts of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookAttempts {
    /// Attempts that the receiver accepted.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// Counts the attempts of this process.
#[derive(Debug, Default)]
pub(super) struct AttemptCounter {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl AttemptCounter {
    pub(super) fn count(&self, is_delivered: bool) {
        let counter = if is_delivered { &self.delivered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> WebhookAttempts {
        let [delivered, failed] = [&self.delivered, &self.failed].map(|counter| counter.load(Ordering::Relaxed));
        WebhookAttempts { delivered, failed }
    }
}
