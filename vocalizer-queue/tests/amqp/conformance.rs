use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{JobPayload, JobQueue};
use vocalizer_queue::{AmqpQueue, AmqpQueueKind};

use super::support::{queue, settings};

/// An empty, connected queue on the shared broker: the timeouts of the suite are for jobs, not for a broker that
/// declares the queues of all tests at once.
struct Fresh(AmqpQueueKind, Instant);

#[async_trait]
impl QueuePlace for Fresh {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let queue: AmqpQueue = queue(settings().with_kind(self.0).with_visibility(visibility));
        queue.check().await.unwrap();
        Arc::new(queue)
    }

    fn elapsed(&self) -> Duration {
        self.1.elapsed()
    }

    async fn pass(&self, span: Duration) {
        sleep(span).await;
    }

    fn payload(&self, name: &str) -> JobPayload {
        JobPayload::Inline(Bytes::copy_from_slice(name.as_bytes()))
    }

    fn forgets_dead_letters(&self) -> bool {
        false
    }
}

mod quorum {
    use super::{AmqpQueueKind, Fresh, Instant};

    vocalizer_conformance::queue_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Fresh(AmqpQueueKind::Quorum, Instant::now())
    );
}

mod classic {
    use super::{AmqpQueueKind, Fresh, Instant};

    vocalizer_conformance::queue_conformance!(
        #[tokio::test(flavor = "multi_thread")]
        Fresh(AmqpQueueKind::Classic, Instant::now())
    );
}
