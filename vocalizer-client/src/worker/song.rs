//! A song on its way to a worker.

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::ports::{BlobError, BlobReader};
use vocalizer_core::song::{SongHash, SongHasher};

use crate::Download;

/// A download that has to be the song of a hash.
pub(super) struct Song {
    download: Download,
    size_bytes: u64,
    hash: SongHash,
    hasher: SongHasher,
}

impl Song {
    pub(super) fn new(download: Download, size_bytes: u64, hash: SongHash) -> Self {
        Self { download, size_bytes, hash, hasher: SongHasher::new() }
    }
}

#[async_trait]
impl BlobReader for Song {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        let chunk = self.download.next_chunk().await.map_err(|error| BlobError::Unavailable(error.into()))?;
        match &chunk {
            Some(chunk) => self.hasher.update(chunk),
            // Asked again it says so again: nobody is to take the end for a good one.
            None if self.hasher.clone().finish() != self.hash => {
                return Err(BlobError::Damaged);
            }
            None => {}
        }
        Ok(chunk)
    }
}
