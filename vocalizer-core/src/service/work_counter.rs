//! Counters of what was done for each model and with resumable uploads.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::models::ModelName;

/// What this process learned of a model's work since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelCounts {
    /// Results that were stored.
    pub splits: u64,
    /// Jobs that were given up.
    pub failures: u64,
    /// How long the splits took, as far as the workers say.
    pub busy: Duration,
}

/// What became of resumable uploads in this process since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadCounts {
    /// Uploads that became songs.
    pub finished: u64,
    /// Uploads that were never finished and were deleted.
    pub expired: u64,
    /// The bytes received of the expired ones.
    pub expired_bytes: u64,
}

/// The counters of this process.
#[derive(Debug, Default)]
pub(super) struct WorkCounter {
    models: Mutex<HashMap<ModelName, ModelCounts>>,
    uploads: Mutex<UploadCounts>,
}

impl WorkCounter {
    pub(super) fn model(&self, name: &ModelName) -> ModelCounts {
        lock(&self.models).get(name).copied().unwrap_or_default()
    }

    pub(super) fn count_model(&self, name: ModelName, count: impl FnOnce(&mut ModelCounts)) {
        count(lock(&self.models).entry(name).or_default());
    }

    pub(super) fn uploads(&self) -> UploadCounts {
        *lock(&self.uploads)
    }

    pub(super) fn count_upload(&self, count: impl FnOnce(&mut UploadCounts)) {
        count(&mut lock(&self.uploads));
    }
}

/// Ignores poisoning: a count is either made or not.
fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
