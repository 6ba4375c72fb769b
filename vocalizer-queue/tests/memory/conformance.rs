use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, JobQueue};
use vocalizer_queue::MemoryQueue;

struct OneQueue {
    start: Instant,
    opened: OnceLock<MemoryQueue>,
}

#[async_trait]
impl QueuePlace for OneQueue {
    fn keeps_traces(&self) -> bool {
        true
    }

    fn selects_models(&self) -> bool {
        true
    }

    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        Arc::new(self.opened.get_or_init(|| MemoryQueue::new(visibility)).clone())
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn pass(&self, span: Duration) {
        sleep(span).await;
    }

    async fn dead_letters(&self, limit: u32) -> Vec<DeadLetter> {
        self.opened.get().unwrap().dead_letters(limit).await.unwrap()
    }
}

vocalizer_conformance::queue_conformance!(
    #[tokio::test(start_paused = true)]
    OneQueue { start: Instant::now(), opened: OnceLock::new() }
);
