//! Requests that continue a resumable upload, so that a newer one can end an older one.

use std::collections::HashMap;
use std::future::{Pending, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{AbortHandle, Abortable};

use crate::api::id::UploadId;

/// The running requests of this process.
#[derive(Clone, Default)]
pub(super) struct Interrupts(Arc<Mutex<HashMap<UploadId, AbortHandle>>>);

/// A running request. Its caller holds the lock of the upload.
pub(super) struct Running {
    interrupts: Interrupts,
    id: UploadId,
    interrupted: Abortable<Pending<()>>,
}

impl Interrupts {
    /// Interrupts the request that continues this upload, if there is one.
    pub(super) fn interrupt(&self, id: UploadId) {
        if let Some(running) = self.running().get(&id) {
            running.abort();
        }
    }

    pub(super) fn start(&self, id: UploadId) -> Running {
        let (interrupted, handle) = futures_util::future::abortable(pending());
        self.running().insert(id, handle);
        Running { interrupts: self.clone(), id, interrupted }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<UploadId, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Completes when another request interrupts this one.
    pub(super) async fn interrupted(&mut self) {
        // The inner future never completes, so this is an interruption.
        let _ = (&mut self.interrupted).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.interrupts.running().remove(&self.id);
    }
}
