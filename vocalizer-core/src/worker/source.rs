//! A song on its way to the separator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt as _;

use crate::ports::{Blob, BlobError};

/// Whether the bytes of a song stopped coming. If so, an error of the separator is neither the song's fault nor its own.
#[derive(Clone, Default)]
pub(super) struct BrokeOff {
    happened: Arc<AtomicBool>,
    is_damaged: Arc<AtomicBool>,
}

impl BrokeOff {
    pub(super) fn watch(&self, song: Blob) -> Blob {
        let (broke_off, size_bytes, tag) = (self.clone(), song.size_bytes(), song.tag().to_owned());
        Blob::new(size_bytes, tag, song.inspect_err(move |error| broke_off.note(error)))
    }

    pub(super) fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    /// Whether they came, and were not the song's.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    fn note(&self, error: &BlobError) {
        self.is_damaged.fetch_or(matches!(error, BlobError::Damaged), Ordering::Relaxed);
        self.happened.store(true, Ordering::Relaxed);
    }
}
