//! Watches a song's bytes on their way to the separator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt as _;

use crate::ports::{Blob, BlobError};

/// Whether reading a song failed. If so, the separator's error is the fault of neither the song nor the separator.
#[derive(Clone, Default)]
pub(super) struct ReadWatch {
    failed: Arc<AtomicBool>,
    is_damaged: Arc<AtomicBool>,
}

impl ReadWatch {
    pub(super) fn watch(&self, song: Blob) -> Blob {
        let (watch, size_bytes, tag) = (self.clone(), song.size_bytes(), song.tag().to_owned());
        Blob::new(size_bytes, tag, song.inspect_err(move |error| watch.note(error)))
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns whether the bytes arrived but do not match the song's hash.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    fn note(&self, error: &BlobError) {
        self.is_damaged.fetch_or(matches!(error, BlobError::Damaged), Ordering::Relaxed);
        self.failed.store(true, Ordering::Relaxed);
    }
}
