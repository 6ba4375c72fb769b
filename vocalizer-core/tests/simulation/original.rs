//! A worker of the original system: it tells nobody what it does, and sends an archive when it is done.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vocalizer_core::ports::{Failure, JobPayload, JobQueue, Lease};
use vocalizer_core::service::{ServiceError, SongService};

use super::audio::over_the_network;
use super::broker::Queue;
use super::kernel::Process;
use super::plan::SECOND;
use super::world::World;

impl World {
    pub(crate) async fn original(self: Arc<Self>, process: Process) {
        let queue = Queue(Arc::clone(&self.broker));
        loop {
            match queue.lease().await {
                Ok(lease) => self.work_as_before(process, lease).await,
                Err(_) => self.kernel.sleep(5 * SECOND).await,
            }
        }
    }

    async fn work_as_before(self: &Arc<Self>, process: Process, mut lease: Box<dyn Lease>) {
        let kernel = &self.kernel;
        let hash = lease.job().hash;
        let content = kernel.plan.content(&hash);
        // It reads what comes along and knows nothing of claims.
        let comes_along = matches!(lease.job().payload, JobPayload::Inline(_));
        let (length_us, began_us) = (kernel.between(SECOND / 10, kernel.plan.longest_split_us), kernel.now_us());
        while kernel.now_us() - began_us < length_us {
            kernel.sleep(length_us.min(10 * SECOND)).await;
            if lease.extend().await.is_err() && kernel.one_in(2) {
                return;
            }
        }
        if kernel.plan.contents[content].hopeless || kernel.fault(kernel.plan.rates.separation) {
            self.broker.spend(process);
            drop(lease.fail(Failure::Retry { after: Duration::from_secs(1) }).await);
            return;
        }
        if !comes_along {
            drop(lease.fail(Failure::Later { after: Duration::from_secs(1) }).await);
            return;
        }
        let archive = Bytes::from(format!("{content} by {}", kernel.steps()));
        let there = Arc::clone(kernel);
        let accepted = move |service: SongService| {
            let archive = over_the_network(Arc::clone(&there), archive.clone());
            async move { service.accept(&hash, archive).await }
        };
        let settled = match self.ask(accepted).await {
            Ok(Ok(_) | Err(ServiceError::Gone | ServiceError::NotFound { .. })) => {
                kernel.met("archive taken");
                lease.acknowledge().await
            }
            Ok(Err(_)) | Err(_) => lease.fail(Failure::Later { after: Duration::from_secs(5) }).await,
        };
        drop(settled);
    }
}
