//! Tests of the trash on a disk that fills up.

#![cfg(feature = "memory")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::Viewer;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob, Space};
use vocalizer_core::service::{SongService, SongSettings};
use vocalizer_core::song::SongHash;

/// A disk that has room for so many files.
struct Disk {
    blobs: MemoryBlobs,
    files: AtomicUsize,
}

#[async_trait]
impl BlobStore for Disk {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.blobs.begin().await
    }
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        self.blobs.open(key, range).await
    }
    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.blobs.size_bytes(key).await
    }
    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.blobs.delete_all(hash).await
    }
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.blobs.delete(key).await
    }
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.blobs.made().await
    }
    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.blobs.hashes().await
    }
    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.blobs.last_written(hash).await
    }
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        let has_room = self.blobs.hashes().await?.len() <= self.files.load(Ordering::Relaxed);
        Ok(Some(Space { free_bytes: if has_room { 1 << 40 } else { 0 }, total_bytes: 1 << 41 }))
    }
    async fn sweep(&self) -> Result<u64, BlobError> {
        self.blobs.sweep().await
    }
}

#[tokio::test]
async fn full_disk_takes_no_more_from_the_trash_than_it_needs() {
    let disk = Arc::new(Disk { blobs: MemoryBlobs::default(), files: AtomicUsize::new(9) });
    let settings = SongSettings { trash: Some(Duration::from_secs(86_400)), ..SongSettings::default() };
    let clock = Arc::new(ManualClock::new());
    let builder = SongService::builder_with_clock(
        Arc::<MemorySongs>::default(),
        disk.clone(),
        Arc::new(IdleQueue),
        clock.clone(),
    );
    let service = builder.with_settings(settings).build();
    for number in 0..6_u8 {
        let mut upload = service.begin_upload(Viewer::Anonymous).await.unwrap();
        upload.write(vec![number].into()).await.unwrap();
        let song = upload.finish("x").await.unwrap();
        service.delete(Viewer::Anonymous, song.id).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(service.sweep().await.unwrap().trashed, 0);
    disk.files.store(4, Ordering::Relaxed);
    assert_eq!(service.sweep().await.unwrap().trashed, 2);
    let left = disk.hashes().await.unwrap();
    let expected: Vec<_> = (2..6_u8).map(|number| SongHash::of(&[number])).collect();
    assert!(left.len() == 4 && expected.iter().all(|hash| left.contains(hash)), "the oldest go first");
}
