//! A worker of the original system: it reports no progress and uploads an archive at the end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vocalizer_core::ports::{Failure, JobPayload, JobQueue, Lease};
use vocalizer_core::service::{ServiceError, SongService};

use super::audio::network_stream;
use super::broker::Queue;
use super::kernel::Process;
use super::plan::SECOND;
use super::world::World;

impl World {
    pub(crate) async fn original(self: Arc<Self>, process: Process) {
        let queue = Queue(Arc::clone(&self.broker));
        loop {
            match queue.lease().await {
                Ok(lease) => self.process_job(process, lease).await,
                Err(_) => self.kernel.sleep(5 * SECOND).await,
            }
        }
    }

    async fn process_job(self: &Arc<Self>, process: Process, mut lease: Box<dyn Lease>) {
        let kernel = &self.kernel;
        let hash = lease.job().hash;
        let content = kernel.plan.content(&hash);
        // It supports only inline payloads, not claims.
        let is_inline = matches!(lease.job().payload, JobPayload::Inline(_));
        let (length_us, began_us) = (kernel.between(SECOND / 10, kernel.plan.longest_split_us), kernel.now_us());
        while kernel.now_us() - began_us < length_us {
            kernel.sleep(length_us.min(10 * SECOND)).await;
            if lease.extend().await.is_err() && kernel.one_in(2) {
                return;
            }
        }
        if kernel.plan.contents[content].unsplittable || kernel.fault(kernel.plan.rates.separation) {
            self.broker.spend(process);
            drop(lease.fail(Failure::Retry { after: Duration::from_secs(1) }).await);
            return;
        }
        if !is_inline {
            drop(lease.fail(Failure::Later { after: Duration::from_secs(1) }).await);
            return;
        }
        let archive = Bytes::from(format!("{content} by {}", kernel.steps()));
        let there = Arc::clone(kernel);
        let accepted = move |service: SongService| {
            let archive = network_stream(Arc::clone(&there), archive.clone());
            async move { service.accept(&hash, archive).await }
        };
        let settled = match self.request(accepted).await {
            Ok(Ok(_) | Err(ServiceError::Gone | ServiceError::NotFound { .. })) => {
                kernel.cover("archive accepted");
                lease.acknowledge().await
            }
            Ok(Err(_)) | Err(_) => lease.fail(Failure::Later { after: Duration::from_secs(5) }).await,
        };
        drop(settled);
    }
}
