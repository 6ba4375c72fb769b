//! The queue conformance tests over HTTP.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tempfile::TempDir;
use vocalizer_client::worker::RemoteQueue;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, Depth, Job, JobLine, JobQueue, JobState, JobsAhead, Lease, QueueError};
use vocalizer_core::song::SongHash;
use vocalizer_queue::{MemoryQueue, SqliteQueue};

use super::place::{SmallService, queue};

/// Publishes through the backend's queue and leases through the workers'.
struct BackendAndWorker {
    service: SmallService,
    remote: RemoteQueue,
}

#[async_trait]
impl JobQueue for BackendAndWorker {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.service.queue.publish(job).await
    }

    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        self.service.queue.publish_in(job, line).await
    }

    async fn move_ahead(&self, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
        self.service.queue.move_ahead(hash, line).await
    }

    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        self.service.queue.withdraw(hash).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.remote.lease().await
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.service.queue.state(hash).await
    }

    async fn jobs_ahead(&self, key: &SongHash) -> Result<Option<JobsAhead>, QueueError> {
        self.service.queue.jobs_ahead(key).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.service.queue.depth().await
    }
}

struct Place {
    began: Instant,
    /// Folder of a queue with durable leases. Without it, the queue is in memory and the server keeps the leases.
    dir: Option<TempDir>,
    in_memory: OnceLock<MemoryQueue>,
    in_a_file: OnceLock<SqliteQueue>,
}

impl Place {
    fn new(dir: Option<TempDir>) -> Self {
        Self { began: Instant::now(), dir, in_memory: OnceLock::new(), in_a_file: OnceLock::new() }
    }

    fn in_memory() -> Self {
        Self::new(None)
    }

    fn in_a_file() -> Self {
        Self::new(Some(tempfile::tempdir().unwrap()))
    }
}

#[async_trait]
impl QueuePlace for Place {
    fn keeps_traces(&self) -> bool {
        true
    }

    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let service = match &self.dir {
            None => {
                let queue = self.in_memory.get_or_init(|| MemoryQueue::new(visibility));
                SmallService::over(Arc::new(queue.clone())).await
            }
            Some(dir) => {
                let queue = SqliteQueue::open(&dir.path().join("queue.db"), visibility).await.unwrap();
                SmallService::over(Arc::new(self.in_a_file.get_or_init(|| queue).clone())).await
            }
        };
        let remote = queue(service.address);
        Arc::new(BackendAndWorker { service, remote })
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn returns_dropped_jobs(&self) -> bool {
        false
    }

    async fn dead_letters(&self, limit: u32) -> Vec<DeadLetter> {
        let letters = match self.in_memory.get() {
            Some(queue) => queue.dead_letters(limit).await,
            None => self.in_a_file.get().unwrap().dead_letters(limit).await,
        };
        letters.unwrap()
    }
}

mod in_memory {
    use super::Place;

    vocalizer_conformance::queue_conformance!(
        #[tokio::test]
        Place::in_memory()
    );
}

mod durable {
    use super::Place;

    vocalizer_conformance::queue_conformance!(
        #[tokio::test]
        Place::in_a_file()
    );
}

#[tokio::test]
async fn remote_queue_rejects_backend_operations() {
    let service = SmallService::start(Duration::from_secs(60)).await;
    let queue = queue(service.address);
    let job = Job::new(SongHash::of(b"x"), vocalizer_core::ports::JobPayload::Stored);
    let results = [
        queue.publish(job.clone()).await.map(drop),
        queue.state(&job.hash).await.map(drop),
        queue.depth().await.map(drop),
    ];
    for result in results {
        let message = vocalizer_core::causes::chain(&result.unwrap_err());
        assert!(message.contains("not supported by a remote queue"), "{message}");
    }
    assert_eq!(service.queue.depth().await.unwrap().waiting, 0);
}
