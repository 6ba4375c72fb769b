//! The state of the background work, for readiness.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether jobs get from the outbox to the queue. A queue may respond but accept nothing, such as a broker that is short of disk
/// space, and one song's job may be stuck because its bytes cannot be read.
#[derive(Default)]
pub(super) struct BackgroundState {
    pub(super) running: AtomicUsize,
    pub(super) stuck: AtomicBool,
    pub(super) late: AtomicBool,
}

/// Counts a run until it is dropped.
pub(super) struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    pub(super) fn begin(state: &'a BackgroundState) -> Self {
        state.running.fetch_add(1, Ordering::Relaxed);
        Self(&state.running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
