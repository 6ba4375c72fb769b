//! A song on its way to the separator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::{BlobError, BlobReader};

/// Whether the bytes of a song stopped coming. What the separator says of it then is neither the song's fault nor its own.
#[derive(Clone, Default)]
pub(super) struct BrokeOff {
    happened: Arc<AtomicBool>,
    is_damaged: Arc<AtomicBool>,
}

impl BrokeOff {
    pub(super) fn watch(&self, song: Box<dyn BlobReader>) -> Box<dyn BlobReader> {
        Box::new(Watched { song, broke_off: self.clone() })
    }

    pub(super) fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    /// Whether they came, and were not the song's.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }
}

struct Watched {
    song: Box<dyn BlobReader>,
    broke_off: BrokeOff,
}

#[async_trait]
impl BlobReader for Watched {
    fn size_bytes(&self) -> u64 {
        self.song.size_bytes()
    }

    fn tag(&self) -> String {
        self.song.tag()
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        let chunk = self.song.next_chunk().await;
        if let Err(error) = &chunk {
            self.broke_off.is_damaged.store(matches!(error, BlobError::Damaged), Ordering::Relaxed);
            self.broke_off.happened.store(true, Ordering::Relaxed);
        }
        chunk
    }
}
