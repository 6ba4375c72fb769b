//! What goes to the queue, and what is known of it then.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::sync::Arc;

use async_trait::async_trait;
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::ports::{Commons, DeadLetter, Depth, Job, JobQueue, JobState, Lease, QueueError, SongRepository};
use vocalizer_core::service::{LocalCommons, SongPorts, SongService, SongSettings};
use vocalizer_core::song::SongHash;

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
