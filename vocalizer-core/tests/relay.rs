//! What goes to the queue, and what is known of it then.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use time::OffsetDateTime;
use vocalizer_core::account::Viewer;
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{
    AudioError, AudioFacts, AudioProbe, Blob, BlobError, BlobKey, BlobStore, BlobWriter, Clock, Commons, DeadLetter,
    Depth, Job, JobPayload, JobQueue, JobState, Lease, MadeBlob, QueueError, SongRepository,
};
use vocalizer_core::service::{LocalCommons, SongPorts, SongService, SongSettings};
use vocalizer_core::song::{Song, SongHash, SongId, StatusKind, Title};

#[path = "support/not_asked.rs"]
mod not_asked;
use not_asked::NotAsked;

/// A queue whose worker is done before the queue has answered; and, where they are not asked, the other ports.
struct AtOnce(Arc<LocalCommons>);

#[async_trait]
impl JobQueue for AtOnce {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        assert!(self.0.heard(&job.hash).await.unwrap().is_some(), "it was not noted that the job was asked for");
        self.0.rest(&job.hash).await.unwrap();
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

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_worker_that_is_quicker_than_the_queue_s_answer_has_the_last_word() {
    let (commons, songs) = (Arc::<LocalCommons>::default(), Arc::<MemorySongs>::default());
    let ports = SongPorts {
        songs: Arc::clone(&songs) as _,
        commons: Arc::clone(&commons) as _,
        blobs: Arc::<MemoryBlobs>::default(),
        queue: Arc::new(AtOnce(Arc::clone(&commons))),
        probe: Arc::new(NotAsked),
        renderer: Arc::new(NotAsked),
        results: Arc::new(NotAsked),
        clock: Arc::new(ManualClock::new()),
    };
    let (service, hash) = (SongService::new(ports, SongSettings::default()), SongHash::of(b"a song"));
    songs.request(&hash).await.unwrap();
    assert_eq!(service.relay().await.unwrap(), 1);
    assert_eq!(commons.heard(&hash).await.unwrap(), None, "a song that is done would be remembered for ever");
}

/// A queue whose jobs bring their songs along, and that cannot tell where they are. Others wait in it.
#[derive(Default)]
struct Carries(Mutex<Vec<(SongHash, Bytes)>>);

#[async_trait]
impl JobQueue for Carries {
    fn max_inline_bytes(&self) -> Option<u64> {
        Some(1000)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        let JobPayload::Inline(song) = job.payload else { panic!("it has room for it") };
        self.0.lock().unwrap().push((job.hash, song));
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        std::future::pending().await
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth { waiting: 5, ..Depth::default() })
    }

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
    }
}

/// Blobs, some of which are never given.
#[derive(Clone, Default)]
struct Hanging {
    kept: MemoryBlobs,
    hang: Arc<Mutex<HashSet<SongHash>>>,
}

#[async_trait]
impl BlobStore for Hanging {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.kept.begin().await
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        if self.hang.lock().unwrap().contains(key.hash()) {
            return std::future::pending().await;
        }
        self.kept.open(key, range).await
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.kept.size_bytes(key).await
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.kept.delete_all(hash).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.kept.delete(key).await
    }

    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.kept.made().await
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.kept.hashes().await
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.kept.last_written(hash).await
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        self.kept.sweep().await
    }
}

/// Takes anything for a song.
struct Deaf;

#[async_trait]
impl AudioProbe for Deaf {
    async fn probe(&self, _: &Path) -> Result<AudioFacts, AudioError> {
        Ok(AudioFacts { format: "mp3".to_owned(), rate_hz: 44_100, channels: 2, duration_ms: None })
    }
}

/// A service whose queue carries songs.
struct Place {
    service: SongService,
    songs: Arc<MemorySongs>,
    blobs: Hanging,
    queue: Arc<Carries>,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Hanging::default(), Arc::<Carries>::default());
        let clock = Arc::new(ManualClock::new());
        let ports = SongPorts {
            songs: Arc::clone(&songs) as _,
            commons: Arc::<LocalCommons>::default(),
            blobs: Arc::new(blobs.clone()),
            queue: Arc::clone(&queue) as _,
            probe: Arc::new(Deaf),
            renderer: Arc::new(NotAsked),
            results: Arc::new(NotAsked),
            clock: Arc::clone(&clock) as _,
        };
        let service = SongService::new(ports, SongSettings::default());
        Self { service, songs, blobs, queue, clock }
    }

    /// A song that waits, with these bytes for its file.
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
async fn songs_whose_bytes_do_not_come_hold_up_no_other_for_longer_than_seconds() {
    let place = Place::new();
    for hangs in 0..7 {
        let song = place.admit(&[hangs], b"never read").await;
        place.blobs.hang.lock().unwrap().insert(*song.hash());
    }
    let song = place.admit(b"a song", b"a song").await;
    let mut relaying = Box::pin(place.service.relay());
    assert!(relaying.as_mut().now_or_never().is_none(), "some are waited for");
    place.clock.advance(Duration::from_secs(5));
    assert!(relaying.as_mut().now_or_never().is_none(), "others are waited for");
    assert_eq!(place.published(), [(*song.hash(), Bytes::from_static(b"a song"))]);
    place.clock.advance(Duration::from_secs(5));
    assert_eq!(relaying.now_or_never().unwrap().unwrap(), 1);
    assert_eq!(place.songs.pending(20).await.unwrap().len(), 7);
    // They are left alone for a while, and then tried again.
    assert_eq!(place.service.relay().now_or_never().unwrap().unwrap(), 0);
    place.clock.advance(Duration::from_secs(60));
    assert!(place.service.relay().now_or_never().is_none());
}

#[tokio::test]
async fn a_song_that_comes_while_another_is_waited_for_is_published_at_once() {
    let place = Place::new();
    let hangs = place.admit(b"hangs", b"never read").await;
    place.blobs.hang.lock().unwrap().insert(*hangs.hash());
    let mut relaying = Box::pin(place.service.relay());
    assert!(relaying.as_mut().now_or_never().is_none());
    let mut upload = place.service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write(Bytes::from_static(b"a song")).await.unwrap();
    upload.finish("x").await.unwrap();
    assert!(relaying.as_mut().now_or_never().is_none());
    assert_eq!(place.published().len(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_not_published_and_its_songs_fail_until_it_is_uploaded_again() {
    let place = Place::new();
    let song = place.admit(b"a song", b"a s0ng").await;
    assert_eq!(place.service.relay().await.unwrap(), 1, "the wish is done with");
    assert_eq!(place.published(), []);
    let damaged = Some("its file is damaged on the server; upload it again".to_owned());
    assert_eq!(place.status(song.id()).await, (StatusKind::Failed, damaged));
    assert_eq!(place.songs.pending(1).await.unwrap(), []);

    let mut upload = place.service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write(Bytes::from_static(b"a song")).await.unwrap();
    upload.finish("x").await.unwrap();
    assert_eq!(place.service.relay().await.unwrap(), 1);
    assert_eq!(place.published(), [(*song.hash(), Bytes::from_static(b"a song"))]);
}

#[tokio::test]
async fn a_job_that_the_queue_lost_is_asked_for_again_after_hours_though_others_wait() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let place = Place::new();
    place.admit(b"a song", b"a song").await;
    assert_eq!(place.service.relay().await.unwrap(), 1);
    for (passed, requested) in [(2, 0), (3, 0), (2, 1), (2, 0), (5, 1)] {
        place.clock.advance(passed * HOUR);
        assert_eq!(place.service.sweep().await.unwrap().requested, requested, "after {passed} more hours");
    }
    assert_eq!(place.published().len(), 3);
}
