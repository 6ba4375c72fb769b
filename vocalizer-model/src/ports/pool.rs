//! Runs work on the runtime's blocking pool, with limited concurrency and cancellation on drop.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::ports::AudioError;

use super::error;

/// Runs `work` on the blocking pool. A panic in it becomes an error of this job only.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AudioError> + Send + 'static,
) -> Result<T, AudioError> {
    tokio::task::spawn_blocking(work).await.map_err(error::failed)?
}

/// Limits the number of concurrent jobs.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Allows `at_once` concurrent jobs, at least one.
    pub(super) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits for a permit. Move it into the job, which may outlive the future that waits for it.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, AudioError> {
        Arc::clone(&self.0).acquire_owned().await.map_err(error::failed)
    }
}

/// Allows as many jobs as there are cores.
impl Default for Turns {
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, usize::from))
    }
}

/// Calls a function when dropped, typically because a future is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
