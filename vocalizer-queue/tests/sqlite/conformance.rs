use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::sleep;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, JobQueue};
use vocalizer_queue::SqliteQueue;

use super::support::TestFile;

struct Timed {
    place: TestFile,
    start: Instant,
    opened: OnceLock<SqliteQueue>,
}

impl Timed {
    fn new(place: TestFile) -> Self {
        Self { place, start: Instant::now(), opened: OnceLock::new() }
    }
}

#[async_trait]
impl QueuePlace for Timed {
    fn keeps_traces(&self) -> bool {
        true
    }

    fn selects_models(&self) -> bool {
        true
    }

    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let queue = SqliteQueue::open(&self.place.path(), visibility).await.unwrap();
        Arc::new(self.opened.get_or_init(|| queue).clone())
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
    #[tokio::test(flavor = "multi_thread")]
    Timed::new(TestFile::new())
);
