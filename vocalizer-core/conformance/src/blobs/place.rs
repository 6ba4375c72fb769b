//! The trait that an adapter implements, and helpers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::{Blob, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;

/// A separate store for one test.
#[async_trait]
pub trait BlobsPlace: Send + Sync {
    /// Opens the store: empty the first time, and later as after a restart of the process.
    async fn blobs(&self) -> Arc<dyn BlobStore>;
}

/// Returns bytes that are distinct for each length and seed.
pub(super) fn bytes(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
}

/// Returns keys of all kinds.
pub(super) fn keys(hash: SongHash) -> [BlobKey; 12] {
    [
        BlobKey::Source(hash),
        BlobKey::Stem(hash, Stem::DRUMS),
        BlobKey::Stem(hash, Stem::VOCALS),
        BlobKey::Lossless(hash, Stem::VOCALS),
        BlobKey::Rendition(hash, Part::Drums, Format::Flac),
        BlobKey::Rendition(hash, Part::Accompaniment, Format::Wav),
        BlobKey::Preview(hash, Part::Drums),
        BlobKey::Peaks(hash, Part::Drums),
        BlobKey::Analysis(hash),
        BlobKey::Cover(hash),
        BlobKey::Lyrics(hash),
        BlobKey::Piece(hash, 3),
    ]
}

/// Writes a blob in one piece.
pub(super) async fn write(blobs: &Arc<dyn BlobStore>, key: &BlobKey, bytes: &Bytes) {
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes.clone()).await.unwrap();
    assert_eq!(writer.commit(key).await.unwrap(), bytes.len() as u64);
}

/// Reads the remaining bytes and checks the guarantees of [`Blob`].
pub(super) async fn read_rest(mut blob: Blob) -> Bytes {
    let mut whole = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.unwrap() {
        assert!(!chunk.is_empty(), "empty chunk");
        whole.extend_from_slice(&chunk);
    }
    assert_eq!(whole.len() as u64, blob.size_bytes());
    assert!(blob.next_chunk().await.unwrap().is_none(), "a chunk after the end");
    whole.into()
}

/// Reads a whole blob; `None` if there is none.
pub(super) async fn read(blobs: &Arc<dyn BlobStore>, key: &BlobKey) -> Option<Bytes> {
    let size_bytes = blobs.size_bytes(key).await.unwrap();
    let blob = blobs.open(key, None).await.unwrap();
    assert_eq!(blob.as_ref().map(Blob::size_bytes), size_bytes);
    match blob {
        Some(blob) => Some(read_rest(blob).await),
        None => None,
    }
}
