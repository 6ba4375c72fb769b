//! Leasing over HTTP is held to what every queue promises.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tempfile::TempDir;
use vocalizer_client::worker::RemoteQueue;
use vocalizer_core::conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, Depth, Job, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;
use vocalizer_queue::SqliteQueue;

use super::place::{Lean, queue};

/// The queue as the backend has it, and as its workers do.
struct Both {
    service: Lean,
    remote: RemoteQueue,
}

#[async_trait]
impl JobQueue for Both {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.service.queue.publish(job).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.remote.lease().await
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.service.queue.state(hash).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.service.queue.depth().await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        self.service.queue.dead_letters(limit).await
    }
}

struct Place {
    began: Instant,
    /// A queue with durable leases is in a file here; one in memory has none, so that the server keeps them.
    dir: Option<TempDir>,
}

impl Place {
    fn in_memory() -> Self {
        Self { began: Instant::now(), dir: None }
    }

    fn in_a_file() -> Self {
        Self { began: Instant::now(), dir: Some(tempfile::tempdir().unwrap()) }
    }
}

#[async_trait]
impl QueuePlace for Place {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let service = match &self.dir {
            None => Lean::start(visibility).await,
            Some(dir) => {
                let queue = SqliteQueue::open(&dir.path().join("queue.db"), visibility).await.unwrap();
                Lean::over(Arc::new(queue)).await
            }
        };
        let remote = queue(service.address);
        Arc::new(Both { service, remote })
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

mod in_memory {
    use super::Place;

    vocalizer_core::queue_conformance!(
        #[tokio::test]
        Place::in_memory()
    );
}

mod durable {
    use super::Place;

    vocalizer_core::queue_conformance!(
        #[tokio::test]
        Place::in_a_file()
    );
}

#[tokio::test]
async fn remote_queue_rejects_backend_operations() {
    let service = Lean::start(Duration::from_secs(60)).await;
    let queue = queue(service.address);
    let job = Job { hash: SongHash::of(b"x"), payload: vocalizer_core::ports::JobPayload::Stored };
    let said = [
        queue.publish(job.clone()).await.map(drop),
        queue.state(&job.hash).await.map(drop),
        queue.depth().await.map(drop),
        queue.dead_letters(1).await.map(drop),
    ];
    for said in said {
        let said = vocalizer_core::causes::chain(&said.unwrap_err());
        assert!(said.contains("jobs are published by the backend"), "{said}");
    }
    assert_eq!(service.queue.depth().await.unwrap().waiting, 0);
}
