//! How a worker is set, and what it counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a worker is set.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Attempts at a song before it is given up. Default: 3.
    pub max_attempts: u32,
    /// How often the backend hears of progress, and may say that nobody wants the song any more. Default: 1 s.
    pub heartbeat: Duration,
    /// The pause after a first failure; it doubles with each, and half of it is left to chance. Default: 5 s.
    pub first_pause: Duration,
    /// The longest pause. Default: 10 minutes.
    pub longest_pause: Duration,
    /// The longest that a separation may take before it counts as hung. Default: 12 hours.
    pub max_separation: Duration,
    /// How long a job in hand may go on when the worker is to stop, before it is handed back. Default: 20 s.
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
    /// How long to pause after so many failures in a row; `chance` is the half of it that is left to it.
    pub(super) fn pause(&self, failures: u32, chance: u16) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        whole / 2 + whole.mul_f64(f64::from(chance) / f64::from(u16::MAX) / 2.0)
    }
}

/// The system's randomness.
pub(super) fn chance() -> u16 {
    let mut random = [0; 2];
    // Without randomness all workers come back at once, which is worse than nothing and no reason to fail.
    let _ = getrandom::fill(&mut random);
    u16::from_le_bytes(random)
}

/// What workers have done since they were started.
#[derive(Debug, Default)]
pub struct WorkerCounts {
    done: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    busy_ms: AtomicU64,
    audio_ms: AtomicU64,
    /// By the worker's clock.
    pauses_until_ms: AtomicU64,
}

impl WorkerCounts {
    /// Songs split and delivered.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Songs given up.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Attempts that went back on the queue.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Time spent separating, in milliseconds.
    #[must_use]
    pub fn busy_ms(&self) -> u64 {
        self.busy_ms.load(Ordering::Relaxed)
    }

    /// How much audio was separated, in milliseconds. Divided by [`Self::busy_ms`] it is how many times faster than
    /// playing this worker is.
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

    pub(super) fn one_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn one_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn one_retried(&self) {
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
