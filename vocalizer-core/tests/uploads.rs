//! Tests of uploads that a client repeats with the same ID.

#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::api::SongView;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{AudioError, AudioFacts, AudioProbe, BlobStore as _, LocalRead, SongRepository as _};
use vocalizer_core::service::{ServiceError, SongService};
use vocalizer_core::song::{SongHash, SongId};

/// Accepts any file as a song, after a pause in which another upload may run.
struct SlowProbe;

#[async_trait]
impl AudioProbe for SlowProbe {
    async fn probe(&self, _: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        tokio::task::yield_now().await;
        Ok(AudioFacts { format: "mp3".to_owned(), rate_hz: 44_100, channels: 2, ..AudioFacts::default() })
    }
}

struct Fixture {
    service: SongService,
    songs: Arc<MemorySongs>,
    blobs: MemoryBlobs,
}

impl Fixture {
    fn new() -> Self {
        let (songs, blobs) = (Arc::<MemorySongs>::default(), MemoryBlobs::default());
        Self {
            service: SongService::builder_with_clock(
                Arc::clone(&songs) as _,
                Arc::new(blobs.clone()),
                Arc::new(IdleQueue),
                Arc::new(ManualClock::new()),
            )
            .with_probe(Arc::new(SlowProbe))
            .build(),
            songs,
            blobs,
        }
    }

    async fn upload(&self, viewer: Viewer, id: SongId, bytes: &'static str) -> Result<SongView, ServiceError> {
        let mut upload = self.service.begin_upload(viewer).await?.with_id(id);
        upload.write(Bytes::from_static(bytes.as_bytes())).await?;
        upload.finish("x").await
    }

    /// Returns the number of songs with these bytes.
    async fn count(&self, bytes: &str) -> usize {
        self.songs.with_hash(&SongHash::of(bytes.as_bytes())).await.unwrap().len()
    }
}

fn is_taken(answer: &Result<SongView, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Conflict { field: Some("id"), .. }))
}

#[tokio::test]
async fn repeated_upload_makes_one_song_and_the_same_answer() {
    for viewer in [Viewer::Anonymous, Viewer::User(UserId::random())] {
        let (fixture, id) = (Fixture::new(), SongId::random());
        let first = fixture.upload(viewer, id, "a song").await.unwrap();
        assert_eq!(first.id, id);
        assert_eq!(fixture.upload(viewer, id, "a song").await.unwrap(), first);
        let together = join_all((0..10).map(|_| fixture.upload(viewer, id, "a song"))).await;
        assert!(together.into_iter().all(|answer| answer.unwrap() == first));
        assert_eq!(fixture.count("a song").await, 1);
    }
}

#[tokio::test]
async fn concurrent_first_uploads_make_one_song() {
    let (fixture, id) = (Fixture::new(), SongId::random());
    let answers = join_all((0..10).map(|_| fixture.upload(Viewer::Anonymous, id, "a song"))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().id == id));
    assert_eq!(fixture.count("a song").await, 1);
}

#[tokio::test]
async fn id_of_another_song_is_a_conflict_and_leaves_no_bytes() {
    let (fixture, id) = (Fixture::new(), SongId::random());
    fixture.upload(Viewer::Anonymous, id, "a song").await.unwrap();
    let answer = fixture.upload(Viewer::Anonymous, id, "another song").await;
    assert!(is_taken(&answer), "{answer:?}");
    assert_eq!(fixture.blobs.hashes().await.unwrap(), [SongHash::of(b"a song")]);
    assert_eq!((fixture.count("a song").await, fixture.count("another song").await), (1, 0));
}

/// The bytes belong to other songs, too.
#[tokio::test]
async fn conflict_keeps_the_bytes_of_other_songs() {
    let (fixture, id) = (Fixture::new(), SongId::random());
    fixture.upload(Viewer::Anonymous, id, "a song").await.unwrap();
    fixture.upload(Viewer::Anonymous, SongId::random(), "another song").await.unwrap();
    assert!(is_taken(&fixture.upload(Viewer::Anonymous, id, "another song").await));
    assert_eq!(fixture.blobs.hashes().await.unwrap().len(), 2);
}

#[tokio::test]
async fn id_of_another_users_song_is_a_conflict_even_with_the_same_bytes() {
    let (fixture, id) = (Fixture::new(), SongId::random());
    let [ada, bob] = [(); 2].map(|()| Viewer::User(UserId::random()));
    let hers = fixture.upload(ada, id, "a song").await.unwrap();
    for viewer in [bob, Viewer::Anonymous] {
        let answer = fixture.upload(viewer, id, "a song").await;
        assert!(is_taken(&answer), "{answer:?}");
    }
    assert_eq!(fixture.service.song(ada, id).await.unwrap(), hers);
    assert_eq!(fixture.count("a song").await, 1);
}
