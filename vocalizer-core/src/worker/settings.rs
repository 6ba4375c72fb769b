//! Settings and counters of a worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vocalizer_api::backoff::Backoff;

/// Settings of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Attempts at a song before it fails. Default: 3.
    pub max_attempts: u32,
    /// How often to report progress, and to learn whether the song is still wanted. Default: 1 s.
    pub heartbeat: Duration,
    /// The pause after the first failure. It doubles with each further failure; half of it is jitter. Default: 5 s.
    pub first_pause: Duration,
    /// The longest pause. Default: 10 minutes.
    pub longest_pause: Duration,
    /// Time limit of a separation. Default: 12 hours.
    pub max_separation: Duration,
    /// How long the current job may continue after the shutdown signal before it is handed back. Default: 20 s.
    pub grace: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            heartbeat: Duration::from_secs(1),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(10 * 60),
            max_separation: Duration::from_secs(12 * 60 * 60),
            grace: Duration::from_secs(20),
        }
    }
}

impl WorkerSettings {
    /// Returns the backoff after this many consecutive failures. `chance` sets the jitter, which is half of it.
    pub(super) fn pause(&self, failures: u32, chance: u16) -> Duration {
        Backoff::new(self.first_pause, self.longest_pause).pause_with(failures, chance)
    }
}

/// What a worker and its clones have done since they started.
#[derive(Debug, Default)]
pub struct WorkerCounts {
    done: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    busy_ms: AtomicU64,
    audio_ms: AtomicU64,
    /// In the time of the worker's clock.
    pauses_until_ms: AtomicU64,
}

impl WorkerCounts {
    /// Songs split and delivered.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Songs that failed for good.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Attempts that were returned to the queue.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Time spent on separation, in milliseconds.
    #[must_use]
    pub fn busy_ms(&self) -> u64 {
        self.busy_ms.load(Ordering::Relaxed)
    }

    /// Audio separated, in milliseconds. Divided by [`Self::busy_ms`], this is the speed relative to real time.
    #[must_use]
    pub fn audio_ms(&self) -> u64 {
        self.audio_ms.load(Ordering::Relaxed)
    }

    pub(super) fn pauses_until(&self) -> Duration {
        Duration::from_millis(self.pauses_until_ms.load(Ordering::Relaxed))
    }

    pub(super) fn pause_until(&self, until: Duration) {
        self.pauses_until_ms.store(millis(until), Ordering::Relaxed);
    }

    pub(super) fn count_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn busy(&self, time: Duration) {
        self.busy_ms.fetch_add(millis(time), Ordering::Relaxed);
    }

    pub(super) fn split(&self, audio: Duration) {
        self.audio_ms.fetch_add(millis(audio), Ordering::Relaxed);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
