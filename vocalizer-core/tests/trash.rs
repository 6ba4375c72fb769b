//! Tests of the trash: uploads with the ID of a song in it, work for such songs, when they end, and a disk that fills up.

#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::api::{SongStatus, SongView};
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{Backend as _, Blob, BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob, Space, Wanted};
use vocalizer_core::service::{Retention, ServiceError, SongService, SongSettings, TrashListing};
use vocalizer_core::song::{FailureReason, SongHash};

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

const DAY: Duration = Duration::from_secs(86_400);

fn service(settings: SongSettings) -> SongService {
    let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    let settings = SongSettings { trash: Some(DAY * 30), ..settings };
    SongService::builder_with_clock(songs, blobs, queue, Arc::new(ManualClock::new())).with_settings(settings).build()
}

async fn upload(service: &SongService, viewer: Viewer, title: &str, bytes: &str) -> Result<SongView, ServiceError> {
    let mut upload = service.begin_upload(viewer).await.unwrap().with_key("row 7");
    upload.write(bytes.to_owned().into()).await.unwrap();
    upload.finish(title).await
}

async fn trash(service: &SongService, viewer: Viewer) -> Vec<String> {
    let page = service.trash(viewer, TrashListing::default()).await.unwrap();
    page.songs.into_iter().map(|trashed| trashed.song.title).collect()
}

#[tokio::test]
async fn repeated_upload_restores_its_song_from_the_trash() {
    let service = service(SongSettings::default());
    let ada = Viewer::User(UserId::random());
    let first = upload(&service, ada, "first", "a song").await.unwrap();
    service.delete(ada, first.id).await.unwrap();
    let again = upload(&service, ada, "first", "a song").await.unwrap();
    assert_eq!((again.id, again.title.as_str()), (first.id, "first"));
    assert_eq!(again.status, SongStatus::Uploaded, "it waits again");
    assert_eq!(trash(&service, ada).await, [""; 0]);
}

#[tokio::test]
async fn upload_that_fails_takes_nothing_from_the_trash() {
    let service = service(SongSettings::default());
    let ada = Viewer::User(UserId::random());
    let first = upload(&service, ada, "first", "a song").await.unwrap();
    service.delete(ada, first.id).await.unwrap();
    let refused = upload(&service, ada, "second", "another song").await;
    assert!(matches!(refused, Err(ServiceError::Invalid(invalid)) if invalid[0].field == "Idempotency-Key"));
    assert_eq!(trash(&service, ada).await, ["first"]);
    service.restore(ada, first.id).await.unwrap();
}

#[tokio::test]
async fn song_in_the_trash_wants_no_stems() {
    let service = service(SongSettings::default());
    let song = upload(&service, Viewer::Anonymous, "a song", "a song").await.unwrap();
    let hash = song.hash.parse().unwrap();
    service.fail(&hash, &FailureReason::new("out of memory")).await.unwrap();
    assert_eq!(service.begin(&hash).await.unwrap(), Wanted::Yes, "a late worker may still deliver");
    service.delete(Viewer::Anonymous, song.id).await.unwrap();
    assert_eq!(service.begin(&hash).await.unwrap(), Wanted::Gone);
    assert!(matches!(service.uploaded(&hash, None).await, Err(ServiceError::Gone)));
    // One that is live and was cancelled does not change that.
    let mut upload = service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write("a song".into()).await.unwrap();
    let other = upload.finish("other").await.unwrap();
    assert_eq!(service.progress(&hash, 1).await.unwrap(), Wanted::Yes);
    service.cancel(Viewer::Anonymous, other.id).await.unwrap();
    assert_eq!(service.progress(&hash, 1).await.unwrap(), Wanted::Gone);
}

#[tokio::test]
async fn song_in_the_trash_ends_with_its_retention_if_that_comes_first() {
    let days = |all: Option<u32>, anonymous: Option<u32>| {
        let kept_for = |days: Option<u32>| days.map(|days| DAY * days);
        Retention { all: kept_for(all), anonymous: kept_for(anonymous) }
    };
    let ada = Viewer::User(UserId::random());
    for (viewer, retention, expected) in [
        (Viewer::Anonymous, days(None, None), 30),
        (Viewer::Anonymous, days(Some(7), None), 7),
        (Viewer::Anonymous, days(Some(7), Some(2)), 2),
        (Viewer::Anonymous, days(Some(90), None), 30),
        (ada, days(None, Some(2)), 30),
        (ada, days(Some(7), Some(2)), 7),
    ] {
        let service = service(SongSettings { retention, ..SongSettings::default() });
        let song = upload(&service, viewer, "x", "a song").await.unwrap();
        service.delete(viewer, song.id).await.unwrap();
        let page = service.trash(viewer, TrashListing::default()).await.unwrap();
        let parse = |text: &str| OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
        let trashed = &page.songs[0];
        let left = parse(trashed.ends_at.as_deref().unwrap()) - parse(&trashed.trashed_at);
        assert_eq!(left.whole_days(), expected, "{retention:?}");
    }
}
