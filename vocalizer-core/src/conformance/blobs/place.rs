//! Where blobs are kept.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::part::{Format, Part, Stem};
use crate::ports::{Blob, BlobKey, BlobStore};
use crate::song::SongHash;

/// A store of its own for one test.
#[async_trait]
pub trait BlobsPlace: Send + Sync {
    /// Opens the store: empty the first time, and later as a process finds it that was started anew.
    async fn blobs(&self) -> Arc<dyn BlobStore>;
}

/// Bytes that look like nothing else of this length and seed.
pub(super) fn bytes(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
}

/// One key of each kind, and more of those that there are several of.
pub(super) fn keys(hash: SongHash) -> [BlobKey; 6] {
    [
        BlobKey::Source(hash),
        BlobKey::Stem(hash, Stem::Drums),
        BlobKey::Stem(hash, Stem::Vocals),
        BlobKey::Rendition(hash, Part::Drums, Format::Flac),
        BlobKey::Rendition(hash, Part::Accompaniment, Format::Wav),
        BlobKey::Peaks(hash, Part::Drums),
    ]
}

/// Writes a blob in one piece.
pub(super) async fn put(blobs: &Arc<dyn BlobStore>, key: &BlobKey, bytes: &Bytes) {
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes.clone()).await.unwrap();
    assert_eq!(writer.commit(key).await.unwrap(), bytes.len() as u64);
}

/// Reads what is left, and holds the blob to its word.
pub(super) async fn rest(mut blob: Blob) -> Bytes {
    let mut whole = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.unwrap() {
        assert!(!chunk.is_empty(), "a chunk is never empty");
        whole.extend_from_slice(&chunk);
    }
    assert_eq!(whole.len() as u64, blob.size_bytes());
    assert!(blob.next_chunk().await.unwrap().is_none(), "the end stays the end");
    whole.into()
}

/// The whole blob, where there is one.
pub(super) async fn get(blobs: &Arc<dyn BlobStore>, key: &BlobKey) -> Option<Bytes> {
    let size_bytes = blobs.size_bytes(key).await.unwrap();
    let blob = blobs.open(key, None).await.unwrap();
    assert_eq!(blob.as_ref().map(Blob::size_bytes), size_bytes);
    match blob {
        Some(blob) => Some(rest(blob).await),
        None => None,
    }
}
