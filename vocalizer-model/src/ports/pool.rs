//! Work beside the runtime: on its blocking pool, so much at once, and stopped when nobody waits for it any more.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::ports::AudioError;

use super::error;

/// Runs `work` on the blocking pool. A panic in it is a failure of this piece of work and of nothing else.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AudioError> + Send + 'static,
) -> Result<T, AudioError> {
    tokio::task::spawn_blocking(work).await.map_err(error::failed)?
}

/// How many work at once.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// At least one.
    pub(super) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits for a turn. It is to go where the work goes, which may outlive whoever waits for it.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, AudioError> {
        Arc::clone(&self.0).acquire_owned().await.map_err(error::failed)
    }
}

/// As many as there are cores.
impl Default for Turns {
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from))
    }
}

/// Does something when it is dropped, as part of a dropped future above all.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
