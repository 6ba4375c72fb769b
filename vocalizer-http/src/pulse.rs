//! Detection of a stuck runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

/// Number of probes within `stuck_after`.
const PROBES: u32 = 6;

/// Watches the runtime and its blocking pool.
pub(crate) struct Pulse {
    made: Instant,
    /// End of the last probe, in milliseconds since `made`; zero before the first.
    last_ms: AtomicU64,
    /// The runtime counts as stuck after this time without progress.
    stuck_after: Duration,
}

impl Pulse {
    pub(crate) fn new(stuck_after: Duration) -> Self {
        Self { made: Instant::now(), last_ms: AtomicU64::new(0), stuck_after }
    }

    /// Probes the blocking pool in a background task until the set is dropped.
    pub(crate) fn start(self: &Arc<Self>) -> JoinSet<()> {
        let pulse = Arc::clone(self);
        JoinSet::from_iter([async move {
            loop {
                pulse.last_ms.store(pulse.now_ms(), Ordering::Relaxed);
                sleep(pulse.stuck_after / PROBES).await;
                // Fails only during runtime shutdown.
                let _ = spawn_blocking(|| ()).await;
            }
        }])
    }

    pub(crate) fn is_stuck(&self) -> bool {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        last_ms > 0 && Duration::from_millis(self.now_ms().saturating_sub(last_ms)) > self.stuck_after
    }

    /// Never zero.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
