//! Song downloads of a worker.

use futures_util::stream::try_unfold;
use vocalizer_api::hash::{SongHash, SongHasher};
use vocalizer_core::ports::{Blob, BlobError};

use crate::Download;

/// Converts a download into a blob. It ends with [`BlobError::Damaged`] if the hash does not match.
pub(super) fn song(download: Download, size_bytes: u64, hash: SongHash) -> Blob {
    let chunks = try_unfold((download, SongHasher::new()), move |(mut download, mut hasher)| async move {
        match download.next_chunk().await.map_err(|error| BlobError::Unavailable(error.into()))? {
            Some(chunk) => {
                hasher.update(&chunk);
                Ok(Some((chunk, (download, hasher))))
            }
            None if hasher.finish() != hash => Err(BlobError::Damaged),
            None => Ok(None),
        }
    });
    Blob::new(size_bytes, "", chunks)
}
