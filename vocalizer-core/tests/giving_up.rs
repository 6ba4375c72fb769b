//! What the queue gave up by itself, and what becomes of its songs.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{
    Clock, Commons, DeadLetter, Depth, GivenUp, Heard, Job, JobQueue, JobState, Lease, QueueError, SongRepository,
};
use vocalizer_core::service::{LocalCommons, SongPorts, SongService, SongSettings};
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, StatusKind, Title};

#[path = "support/not_asked.rs"]
mod not_asked;
use not_asked::NotAsked;

/// A queue that says of one job that it gave it up, as often as it is asked until that is filed.
#[derive(Default)]
struct Gave {
    letter: Mutex<Option<DeadLetter>>,
    repeated_since: Mutex<Option<OffsetDateTime>>,
    filed: Mutex<Vec<DeadLetter>>,
    files: Mutex<bool>,
}

struct Told(Arc<Gave>, DeadLetter);

#[async_trait]
impl GivenUp for Told {
    fn letter(&self) -> &DeadLetter {
        &self.1
    }

    fn repeated_since(&self) -> Option<OffsetDateTime> {
        *self.0.repeated_since.lock().unwrap()
    }

    async fn file(self: Box<Self>) -> Result<(), QueueError> {
        if !*self.0.files.lock().unwrap() {
            return Err(QueueError::Unavailable("the broker went away".into()));
        }
        let letter = self.0.letter.lock().unwrap().take();
        self.0.filed.lock().unwrap().extend(letter);
        Ok(())
    }
}

struct Queue(Arc<Gave>);

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

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(self.0.filed.lock().unwrap().clone())
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        let letter = self.0.letter.lock().unwrap().clone();
        Ok(letter.map(|letter| Box::new(Told(Arc::clone(&self.0), letter)) as _))
    }
}

/// A service with one song, which waits, and a queue that gave up its job an hour after the clock began.
struct Place {
    service: SongService,
    songs: Arc<MemorySongs>,
    commons: Arc<LocalCommons>,
    clock: Arc<ManualClock>,
    gave: Arc<Gave>,
    song: Song,
}

impl Place {
    async fn new() -> Self {
        let (songs, commons) = (Arc::<MemorySongs>::default(), Arc::<LocalCommons>::default());
        let (clock, gave) = (Arc::new(ManualClock::new()), Arc::<Gave>::default());
        *gave.files.lock().unwrap() = true;
        let ports = SongPorts {
            songs: Arc::clone(&songs) as _,
            commons: Arc::clone(&commons) as _,
            blobs: Arc::<MemoryBlobs>::default(),
            queue: Arc::new(Queue(Arc::clone(&gave))),
            probe: Arc::new(NotAsked),
            renderer: Arc::new(NotAsked),
            results: Arc::new(NotAsked),
            clock: Arc::clone(&clock) as _,
        };
        let service = SongService::new(ports, SongSettings::default());
        let title = Title::parse("x", usize::MAX).unwrap();
        let hash = SongHash::of(b"a song");
        let mut song = Song::begin(SongId::random(), title, hash, None, clock.now());
        song.finish_upload().unwrap();
        let song = songs.admit(&song).await.unwrap();
        let wish = songs.pending(1).await.unwrap().remove(0);
        songs.published(wish.number).await.unwrap();
        commons.hear(&hash, Heard { percent: 0, at: clock.now() }).await.unwrap();
        clock.advance(Duration::from_secs(60));
        let letter = DeadLetter { hash, reason: FailureReason::new("all died"), attempts: 21 };
        *gave.letter.lock().unwrap() = Some(letter);
        Self { service, songs, commons, clock, gave, song }
    }

    async fn status(&self) -> StatusKind {
        self.songs.find(self.song.id()).await.unwrap().unwrap().status().kind()
    }

    fn filed(&self) -> usize {
        self.gave.filed.lock().unwrap().len()
    }
}

#[tokio::test]
async fn songs_fail_with_the_reason_and_it_is_filed_once() {
    let place = Place::new().await;
    assert_eq!(place.service.sweep().await.unwrap().given_up, 1);
    let song = place.songs.find(place.song.id()).await.unwrap().unwrap();
    assert_eq!(song.status().failure(), Some(&FailureReason::new("all died")));
    assert_eq!(place.commons.heard(place.song.hash()).await.unwrap(), None, "nobody is at it any more");
    assert_eq!(place.service.sweep().await.unwrap().given_up, 0);
    assert_eq!(place.filed(), 1);
}

#[tokio::test]
async fn a_queue_that_goes_away_leaves_it_for_the_next_time_and_the_rest_of_the_sweep_is_done() {
    let place = Place::new().await;
    let lost = SongHash::of(b"lost");
    let title = Title::parse("y", usize::MAX).unwrap();
    let mut other = Song::begin(SongId::random(), title, lost, None, place.clock.now());
    other.finish_upload().unwrap();
    place.songs.admit(&other).await.unwrap();
    let wish = place.songs.pending(1).await.unwrap().remove(0);
    place.songs.published(wish.number).await.unwrap();
    place.commons.hear(&lost, Heard { percent: 0, at: place.clock.now() }).await.unwrap();
    place.clock.advance(Duration::from_secs(2 * 60 * 60));

    *place.gave.files.lock().unwrap() = false;
    let swept = place.service.sweep().await.unwrap();
    assert_eq!((swept.given_up, swept.requested, place.filed()), (0, 1, 0));
    assert_eq!(place.status().await, StatusKind::Failed);
    *place.gave.files.lock().unwrap() = true;
    assert_eq!(place.service.sweep().await.unwrap().given_up, 1);
    assert_eq!(place.filed(), 1);
}

#[tokio::test]
async fn a_song_that_was_asked_for_again_since_is_left_alone() {
    let place = Place::new().await;
    *place.gave.files.lock().unwrap() = false;
    place.service.sweep().await.unwrap();
    assert_eq!(place.status().await, StatusKind::Failed);

    // Its user does not wait until that is filed.
    *place.gave.repeated_since.lock().unwrap() = Some(place.clock.now());
    place.clock.advance(Duration::from_secs(1));
    place.songs.retry(place.song.id()).await.unwrap();
    place.service.relay().await.unwrap();
    *place.gave.files.lock().unwrap() = true;
    place.service.sweep().await.unwrap();
    assert_eq!((place.status().await, place.filed()), (StatusKind::Uploaded, 1));
}

#[tokio::test]
async fn a_server_that_died_before_the_songs_failed_leaves_that_to_the_next() {
    let place = Place::new().await;
    *place.gave.repeated_since.lock().unwrap() = Some(place.clock.now());
    place.service.sweep().await.unwrap();
    assert_eq!((place.status().await, place.filed()), (StatusKind::Failed, 1));
}
