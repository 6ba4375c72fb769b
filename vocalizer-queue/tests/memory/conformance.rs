use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::JobQueue;
use vocalizer_queue::MemoryQueue;

struct Place {
    start: Instant,
}

#[async_trait]
impl QueuePlace for Place {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        Arc::new(MemoryQueue::new(visibility))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn pass(&self, span: Duration) {
        sleep(span).await;
    }
}

vocalizer_conformance::queue_conformance!(
    #[tokio::test(start_paused = true)]
    Place { start: Instant::now() }
);
