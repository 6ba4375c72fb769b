use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, JobPayload, JobQueue};
use vocalizer_queue::{AmqpQueue, AmqpQueueKind};

use super::support::{queue, settings};

/// An empty, connected queue on the shared broker: the timeouts of the suite are for jobs, not for a broker that
/// declares the queues of all tests at once.
struct Fresh {
    kind: AmqpQueueKind,
    start: Instant,
    opened: OnceLock<AmqpQueue>,
}

impl Fresh {
    fn new(kind: AmqpQueueKind) -> Self {
        Self { kind, start: Instant::now(), opened: OnceLock::new() }
    }
}

#[async_trait]
impl QueuePlace for Fresh {
    fn keeps_traces(&self) -> bool {
        true
    }

    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let queue: AmqpQueue = queue(settings().with_kind(self.kind).with_visibility(visibility));
        queue.check().await.unwrap();
        Arc::new(self.opened.get_or_init(|| queue).clone())
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn pass(&self, span: Duration) {
        sleep(span).await;
    }

    fn payload(&self, name: &str) -> JobPayload {
        JobPayload::Inline(Bytes::copy_from_slice(name.as_bytes()))
    }

    async fn dead_letters(&self, limit: u32) -> Vec<DeadLetter> {
        self.opened.get().unwrap().dead_letters(limit).await.unwrap()
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn forgets_dead_letters(&self) -> bool {
        false
    }
}

mod quorum {
    use super::{AmqpQueueKind, Fresh};

    vocalizer_conformance::queue_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Fresh::new(AmqpQueueKind::Quorum)
    );
}

mod classic {
    use super::{AmqpQueueKind, Fresh};

    vocalizer_conformance::queue_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Fresh::new(AmqpQueueKind::Classic)
    );
}
