use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use blobs::ObjectBlobs;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use tempfile::TempDir;
use vocalizer_conformance::blobs::BlobsPlace;
use vocalizer_core::ports::{Blob, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;

/// The store keeps the blobs across restarts; the adapter itself has no state.
struct Place {
    store: Arc<dyn ObjectStore>,
    dir: TempDir,
}

impl Place {
    fn memory() -> Self {
        Self { store: Arc::new(InMemory::new()), dir: TempDir::new().unwrap() }
    }

    /// With `fsync`, as the port requires.
    fn folder() -> Self {
        let dir = TempDir::new().unwrap();
        let store = dir.path().join("store");
        std::fs::create_dir(&store).unwrap();
        Self { store: Arc::new(LocalFileSystem::new_with_prefix(store).unwrap().with_fsync(true)), dir }
    }
}

#[async_trait]
impl BlobsPlace for Place {
    async fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::new(ObjectBlobs::new(Arc::clone(&self.store), self.dir.path()))
    }
}

mod memory {
    use super::*;

    vocalizer_conformance::blobs_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Place::memory()
    );

    #[tokio::test(flavor = "multi_thread")]
    async fn large_blob_round_trips() {
        check_large_blob(Place::memory()).await;
    }
}

mod folder {
    use super::*;

    vocalizer_conformance::blobs_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Place::folder()
    );

    #[tokio::test(flavor = "multi_thread")]
    async fn large_blob_round_trips() {
        check_large_blob(Place::folder()).await;
    }
}

/// Writes a blob of several parts, and reads it and a range across two parts.
async fn check_large_blob(place: Place) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(SongHash::of(b"large"));
    let whole: Bytes = (0..20_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut writer = blobs.begin().await.unwrap();
    for chunk in whole.chunks(100_000) {
        writer.write(whole.slice_ref(chunk)).await.unwrap();
        // A reader that stops in the middle does not move the end.
        writer.reader().await.unwrap().read_exact(&mut [0; 10]).unwrap();
    }
    assert_eq!(writer.commit(&key).await.unwrap(), 20_000_000);
    assert_eq!(blobs.size_bytes(&key).await.unwrap(), Some(20_000_000));
    expect(blobs.open(&key, None).await.unwrap().unwrap(), &whole).await;
    let part = blobs.open(&key, Some(8_388_000..8_389_000)).await.unwrap().unwrap();
    expect(part, &whole.slice(8_388_000..8_389_000)).await;
}

async fn expect(mut found: Blob, expected: &[u8]) {
    assert_eq!(found.size_bytes(), expected.len() as u64);
    let mut left = expected;
    while let Some(chunk) = found.next_chunk().await.unwrap() {
        let (start, rest) = left.split_at(chunk.len());
        assert!(chunk == start, "wrong bytes at {}", expected.len() - left.len());
        left = rest;
    }
    assert!(left.is_empty(), "{} bytes are missing", left.len());
}
