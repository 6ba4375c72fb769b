use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::JobQueue;

use super::support::Place;

struct Timed(Place, Instant);

#[async_trait]
impl QueuePlace for Timed {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        Arc::new(self.0.open(visibility).await)
    }

    fn elapsed(&self) -> Duration {
        self.1.elapsed()
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

vocalizer_conformance::queue_conformance!(
    #[tokio::test(flavor = "multi_thread")]
    Timed(Place::new().await, Instant::now())
);
