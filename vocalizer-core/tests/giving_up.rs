//! Tests of jobs that the queue gives up by itself.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{
    Clock as _, DeadLetter, Depth, GivenUp, Job, JobQueue, JobState, Lease, ProgressReport, ProgressStore, QueueError,
    SongRepository,
};
use vocalizer_core::service::{LocalCoordination, SongService};
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, StatusKind, Title};

/// A job that the queue gave up and reports until it is filed.
#[derive(Default)]
struct GivenUpJob {
    letter: Mutex<Option<DeadLetter>>,
    repeated_since: Mutex<Option<OffsetDateTime>>,
    filed: Mutex<Vec<DeadLetter>>,
    filing_works: Mutex<bool>,
}

struct Report(Arc<GivenUpJob>, DeadLetter);

#[async_trait]
impl GivenUp for Report {
    fn letter(&self) -> &DeadLetter {
        &self.1
    }

    fn repeated_since(&self) -> Option<OffsetDateTime> {
        *self.0.repeated_since.lock().unwrap()
    }

    async fn file(self: Box<Self>) -> Result<(), QueueError> {
        if !*self.0.filing_works.lock().unwrap() {
            return Err(QueueError::Unavailable("broker connection lost".into()));
        }
        let letter = self.0.letter.lock().unwrap().take();
        self.0.filed.lock().unwrap().extend(letter);
        Ok(())
    }
}

struct Queue(Arc<GivenUpJob>);

#[async_trait]
impl JobQueue for Queue {
    async fn publish(&self, _: Job) -> Result<(), QueueError> {
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

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        let letter = self.0.letter.lock().unwrap().clone();
        Ok(letter.map(|letter| Box::new(Report(Arc::clone(&self.0), letter)) as _))
    }
}

/// A service with one waiting song, and a queue that gave up its job after a minute.
struct Fixture {
    service: SongService,
    songs: Arc<MemorySongs>,
    coordination: Arc<LocalCoordination>,
    clock: Arc<ManualClock>,
    job: Arc<GivenUpJob>,
    song: Song,
}

impl Fixture {
    async fn new() -> Self {
        let (songs, coordination) = (Arc::<MemorySongs>::default(), Arc::<LocalCoordination>::default());
        let (clock, job) = (Arc::new(ManualClock::new()), Arc::<GivenUpJob>::default());
        *job.filing_works.lock().unwrap() = true;
        let service = SongService::builder_with_clock(
            Arc::clone(&songs) as _,
            Arc::<MemoryBlobs>::default(),
            Arc::new(Queue(Arc::clone(&job))),
            Arc::clone(&clock) as _,
        )
        .with_coordination(Arc::clone(&coordination) as _)
        .build();
        let title = Title::parse("x", usize::MAX).unwrap();
        let hash = SongHash::of(b"a song");
        let mut song = Song::begin(SongId::random(), title, hash, None, clock.now());
        song.finish_upload().unwrap();
        let song = songs.admit(&song).await.unwrap();
        let entry = songs.pending(1).await.unwrap().remove(0);
        songs.published(entry.number).await.unwrap();
        coordination.record_progress(&hash, ProgressReport { percent: 0, at: clock.now() }).await.unwrap();
        clock.advance(Duration::from_secs(60));
        let letter = DeadLetter { hash, reason: FailureReason::new("all workers crashed"), attempts: 21 };
        *job.letter.lock().unwrap() = Some(letter);
        Self { service, songs, coordination, clock, job, song }
    }

    async fn status(&self) -> StatusKind {
        self.songs.find(self.song.id()).await.unwrap().unwrap().status().kind()
    }

    fn filed(&self) -> usize {
        self.job.filed.lock().unwrap().len()
    }
}

#[tokio::test]
async fn songs_fail_with_reason_and_job_is_filed_once() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.service.sweep().await.unwrap().given_up, 1);
    let song = fixture.songs.find(fixture.song.id()).await.unwrap().unwrap();
    assert_eq!(song.status().failure(), Some(&FailureReason::new("all workers crashed")));
    assert_eq!(fixture.coordination.progress(fixture.song.hash()).await.unwrap(), None, "the progress was not cleared");
    assert_eq!(fixture.service.sweep().await.unwrap().given_up, 0);
    assert_eq!(fixture.filed(), 1);
}

#[tokio::test]
async fn filing_error_is_retried_and_sweep_continues() {
    let fixture = Fixture::new().await;
    let lost = SongHash::of(b"lost");
    let title = Title::parse("y", usize::MAX).unwrap();
    let mut other = Song::begin(SongId::random(), title, lost, None, fixture.clock.now());
    other.finish_upload().unwrap();
    fixture.songs.admit(&other).await.unwrap();
    let entry = fixture.songs.pending(1).await.unwrap().remove(0);
    fixture.songs.published(entry.number).await.unwrap();
    fixture.coordination.record_progress(&lost, ProgressReport { percent: 0, at: fixture.clock.now() }).await.unwrap();
    fixture.clock.advance(Duration::from_secs(2 * 60 * 60));

    *fixture.job.filing_works.lock().unwrap() = false;
    let swept = fixture.service.sweep().await.unwrap();
    assert_eq!((swept.given_up, swept.requested, fixture.filed()), (0, 1, 0));
    assert_eq!(fixture.status().await, StatusKind::Failed);
    *fixture.job.filing_works.lock().unwrap() = true;
    assert_eq!(fixture.service.sweep().await.unwrap().given_up, 1);
    assert_eq!(fixture.filed(), 1);
}

#[tokio::test]
async fn song_retried_since_is_left_alone() {
    let fixture = Fixture::new().await;
    *fixture.job.filing_works.lock().unwrap() = false;
    fixture.service.sweep().await.unwrap();
    assert_eq!(fixture.status().await, StatusKind::Failed);

    // The user retries before the job is filed.
    *fixture.job.repeated_since.lock().unwrap() = Some(fixture.clock.now());
    fixture.clock.advance(Duration::from_secs(1));
    fixture.songs.retry(fixture.song.id()).await.unwrap();
    fixture.service.relay().await.unwrap();
    *fixture.job.filing_works.lock().unwrap() = true;
    fixture.service.sweep().await.unwrap();
    assert_eq!((fixture.status().await, fixture.filed()), (StatusKind::Uploaded, 1));
}

#[tokio::test]
async fn repeated_report_fails_songs_after_server_crash() {
    let fixture = Fixture::new().await;
    *fixture.job.repeated_since.lock().unwrap() = Some(fixture.clock.now());
    fixture.service.sweep().await.unwrap();
    assert_eq!((fixture.status().await, fixture.filed()), (StatusKind::Failed, 1));
}
