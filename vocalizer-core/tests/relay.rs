//! Tests of the relay from the outbox to the queue.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use time::OffsetDateTime;
use vocalizer_core::account::Viewer;
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{
    Blob, BlobError, BlobKey, BlobStore, BlobWriter, Clock as _, Depth, Job, JobPayload, JobQueue, JobState, Lease,
    MadeBlob, ProgressStore, QueueError, SongRepository,
};
use vocalizer_core::service::{LocalCoordination, SongService};
use vocalizer_core::song::{Song, SongHash, SongId, StatusKind, Title};

/// A queue whose worker finishes before `publish` returns.
struct InstantQueue(Arc<LocalCoordination>);

#[async_trait]
impl JobQueue for InstantQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        assert!(self.0.progress(&job.hash).await.unwrap().is_some(), "the job request was not recorded");
        self.0.clear_progress(&job.hash).await.unwrap();
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        std::future::pending().await
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}

#[tokio::test]
async fn worker_faster_than_publish_leaves_no_progress() {
    let (coordination, songs) = (Arc::<LocalCoordination>::default(), Arc::<MemorySongs>::default());
    let (service, hash) = (
        SongService::builder_with_clock(
            Arc::clone(&songs) as _,
            Arc::<MemoryBlobs>::default(),
            Arc::new(InstantQueue(Arc::clone(&coordination))),
            Arc::new(ManualClock::new()),
        )
        .with_coordination(Arc::clone(&coordination) as _)
        .build(),
        SongHash::of(b"a song"),
    );
    songs.request(&hash).await.unwrap();
    assert_eq!(service.relay().await.unwrap(), 1);
    assert_eq!(coordination.progress(&hash).await.unwrap(), None, "progress of a finished song was kept");
}

/// A queue with inline payloads that reports waiting jobs, and unknown states or, if set, that it is unavailable.
#[derive(Default)]
struct InlineQueue(Mutex<Vec<(SongHash, Bytes)>>, AtomicBool);

#[async_trait]
impl JobQueue for InlineQueue {
    fn max_inline_bytes(&self) -> Option<u64> {
        Some(1000)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        let JobPayload::Inline(song) = job.payload else { panic!("expected an inline payload") };
        self.0.lock().unwrap().push((job.hash, song));
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        std::future::pending().await
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        if self.1.load(Ordering::Relaxed) {
            return Err(QueueError::Unavailable("the broker is down".into()));
        }
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth { waiting: 5, ..Depth::default() })
    }
}

/// A blob store in which some blobs hang when opened.
#[derive(Clone, Default)]
struct HangingBlobs {
    inner: MemoryBlobs,
    hanging: Arc<Mutex<HashSet<SongHash>>>,
}

#[async_trait]
impl BlobStore for HangingBlobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.inner.begin().await
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        if self.hanging.lock().unwrap().contains(key.hash()) {
            return std::future::pending().await;
        }
        self.inner.open(key, range).await
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.inner.size_bytes(key).await
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.inner.delete_all(hash).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.inner.delete(key).await
    }

    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.inner.made().await
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.inner.hashes().await
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.inner.last_written(hash).await
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        self.inner.sweep().await
    }
}

/// A service whose queue carries songs inline.
struct Fixture {
    service: SongService,
    songs: Arc<MemorySongs>,
    blobs: HangingBlobs,
    queue: Arc<InlineQueue>,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        let (songs, blobs, queue) =
            (Arc::<MemorySongs>::default(), HangingBlobs::default(), Arc::<InlineQueue>::default());
        let clock = Arc::new(ManualClock::new());
        let service = SongService::builder_with_clock(
            Arc::clone(&songs) as _,
            Arc::new(blobs.clone()),
            Arc::clone(&queue) as _,
            Arc::clone(&clock) as _,
        )
        .build();
        Self { service, songs, blobs, queue, clock }
    }

    /// Admits a waiting song with these bytes as its file.
    async fn admit(&self, name: &[u8], file: &'static [u8]) -> Song {
        let hash = SongHash::of(name);
        let mut writer = self.blobs.begin().await.unwrap();
        writer.write(Bytes::from_static(file)).await.unwrap();
        writer.commit(&BlobKey::Source(hash)).await.unwrap();
        let title = Title::parse("x", usize::MAX).unwrap();
        let mut song = Song::begin(SongId::random(), title, hash, None, self.clock.now());
        song.finish_upload().unwrap();
        self.songs.admit(&song).await.unwrap()
    }

    async fn status(&self, id: SongId) -> (StatusKind, Option<String>) {
        let song = self.songs.find(id).await.unwrap().unwrap();
        (song.status().kind(), song.status().failure().map(ToString::to_string))
    }

    fn published(&self) -> Vec<(SongHash, Bytes)> {
        self.queue.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn hanging_blobs_delay_other_songs_by_seconds_only() {
    let fixture = Fixture::new();
    for number in 0..7 {
        let song = fixture.admit(&[number], b"never read").await;
        fixture.blobs.hanging.lock().unwrap().insert(*song.hash());
    }
    let song = fixture.admit(b"a song", b"a song").await;
    let mut relaying = Box::pin(fixture.service.relay());
    assert!(relaying.as_mut().now_or_never().is_none(), "the relay waits for the first hanging blobs");
    fixture.clock.advance(Duration::from_secs(5));
    assert!(relaying.as_mut().now_or_never().is_none(), "the relay waits for the other hanging blobs");
    assert_eq!(fixture.published(), [(*song.hash(), Bytes::from_static(b"a song"))]);
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(relaying.now_or_never().unwrap().unwrap(), 1);
    assert_eq!(fixture.songs.pending(20).await.unwrap().len(), 7);
    // The hanging blobs are retried after a delay.
    assert_eq!(fixture.service.relay().now_or_never().unwrap().unwrap(), 0);
    fixture.clock.advance(Duration::from_secs(60));
    assert!(fixture.service.relay().now_or_never().is_none());
}

/// The parts of a sweep are independent of each other.
#[tokio::test]
async fn sweep_removes_orphans_while_queue_is_unavailable() {
    let fixture = Fixture::new();
    let song = fixture.admit(b"a song", b"a song").await;
    let mut writer = fixture.blobs.begin().await.unwrap();
    writer.write(Bytes::from_static(b"an orphan")).await.unwrap();
    writer.commit(&BlobKey::Source(SongHash::of(b"an orphan"))).await.unwrap();
    fixture.queue.1.store(true, Ordering::Relaxed);
    fixture.service.sweep().await.unwrap_err();
    assert_eq!(fixture.blobs.hashes().await.unwrap(), [*song.hash()]);
}

#[tokio::test]
async fn new_song_is_published_while_another_hangs() {
    let fixture = Fixture::new();
    let hanging_song = fixture.admit(b"hanging", b"never read").await;
    fixture.blobs.hanging.lock().unwrap().insert(*hanging_song.hash());
    let mut relaying = Box::pin(fixture.service.relay());
    assert!(relaying.as_mut().now_or_never().is_none());
    let mut upload = fixture.service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write(Bytes::from_static(b"a song")).await.unwrap();
    upload.finish("x").await.unwrap();
    assert!(relaying.as_mut().now_or_never().is_none());
    assert_eq!(fixture.published().len(), 1);
}

#[tokio::test]
async fn damaged_file_is_not_published_and_fails_its_songs() {
    let fixture = Fixture::new();
    let song = fixture.admit(b"a song", b"a s0ng").await;
    assert_eq!(fixture.service.relay().await.unwrap(), 1, "the outbox entry is settled");
    assert_eq!(fixture.published(), []);
    let damaged = Some("its file is damaged on the server; upload it again".to_owned());
    assert_eq!(fixture.status(song.id()).await, (StatusKind::Failed, damaged));
    assert_eq!(fixture.songs.pending(1).await.unwrap(), []);

    let mut upload = fixture.service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write(Bytes::from_static(b"a song")).await.unwrap();
    upload.finish("x").await.unwrap();
    assert_eq!(fixture.service.relay().await.unwrap(), 1);
    assert_eq!(fixture.published(), [(*song.hash(), Bytes::from_static(b"a song"))]);
}

#[tokio::test]
async fn lost_job_is_requested_again_after_hours() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let fixture = Fixture::new();
    fixture.admit(b"a song", b"a song").await;
    assert_eq!(fixture.service.relay().await.unwrap(), 1);
    for (passed, requested) in [(2, 0), (3, 0), (2, 1), (2, 0), (5, 1)] {
        fixture.clock.advance(passed * HOUR);
        assert_eq!(fixture.service.sweep().await.unwrap().requested, requested, "after {passed} more hours");
    }
    assert_eq!(fixture.published().len(), 3);
}
