use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::sleep;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::JobQueue;
use vocalizer_queue::SqliteQueue;

use super::support::Place;

struct Timed(Place, Instant);

#[async_trait]
impl QueuePlace for Timed {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        Arc::new(SqliteQueue::open(&self.0.path(), visibility).await.unwrap())
    }

    fn elapsed(&self) -> Duration {
        self.1.elapsed()
    }

    async fn pass(&self, span: Duration) {
        sleep(span).await;
    }
}

vocalizer_conformance::queue_conformance!(
    #[tokio::test(flavor = "multi_thread")]
    Timed(Place::new(), Instant::now())
);
