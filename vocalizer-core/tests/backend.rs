//! Conformance tests of the service as a worker's backend.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_conformance::backend::BackendPlace;
use vocalizer_core::account::Viewer;
use vocalizer_core::api::Provenance;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::part::{Stem, StemFormats};
use vocalizer_core::ports::{Backend, Blob, BlobKey, BlobStore as _, SongRepository};
use vocalizer_core::service::SongService;
use vocalizer_core::song::{SongHash, StatusKind};

struct Fixture {
    service: SongService,
    songs: Arc<MemorySongs>,
    blobs: MemoryBlobs,
}

impl Fixture {
    fn new() -> Self {
        let (songs, blobs) = (Arc::new(MemorySongs::default()), MemoryBlobs::default());
        let clock = Arc::new(ManualClock::new());
        let service =
            SongService::builder_with_clock(songs.clone(), Arc::new(blobs.clone()), Arc::new(IdleQueue), clock).build();
        Self { service, songs, blobs }
    }

    async fn blob(&self, key: BlobKey) -> Option<Bytes> {
        let mut blob: Blob = self.blobs.open(&key, None).await.unwrap()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.next_chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        Some(bytes.into())
    }
}

#[async_trait]
impl BackendPlace for Fixture {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.service.clone())
    }

    async fn upload(&self, song: Bytes) {
        let mut upload = self.service.begin_upload(Viewer::Anonymous).await.unwrap();
        upload.write(song).await.unwrap();
        upload.finish("a song").await.unwrap();
    }

    async fn delete(&self, hash: &SongHash) {
        for song in self.songs.with_hash(hash).await.unwrap() {
            self.service.delete(Viewer::Anonymous, song.id()).await.unwrap();
        }
    }

    async fn statuses(&self, hash: &SongHash) -> Vec<StatusKind> {
        self.songs.with_hash(hash).await.unwrap().iter().map(|song| song.status().kind()).collect()
    }

    async fn stem(&self, hash: &SongHash, stem: Stem) -> Option<Bytes> {
        self.blob(BlobKey::Stem(*hash, stem)).await
    }

    async fn lossless(&self, hash: &SongHash, stem: Stem) -> Option<Bytes> {
        self.blob(BlobKey::Lossless(*hash, stem)).await
    }

    async fn known(&self, hash: &SongHash) -> Vec<(StemFormats, Option<Provenance>)> {
        self.songs
            .with_hash(hash)
            .await
            .unwrap()
            .iter()
            .map(|song| (song.stems().formats, song.stems().provenance.clone()))
            .collect()
    }
}

vocalizer_conformance::backend_conformance!(
    #[tokio::test]
    Fixture::new()
);
