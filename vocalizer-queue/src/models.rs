//! One queue per further model, over queues that cannot select jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::select_all;
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::ports::{Depth, GivenUp, Job, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

/// A [`JobQueue`] of several, for brokers whose consumers take whatever is next: jobs for the default model are in one, and
/// those for each further model in another. Original programs know the first only; see decision 68.
///
/// A model without a queue here has no workers either: publishing its jobs fails.
#[derive(Clone)]
pub struct ModelQueues {
    first: Arc<dyn JobQueue>,
    further: BTreeMap<ModelName, Arc<dyn JobQueue>>,
}

impl ModelQueues {
    /// Creates it from the queue of the default model and those of further models. The default model may have one of those
    /// too: it is a further model of songs that were first split when another one was the default.
    #[must_use]
    pub fn new(first: Arc<dyn JobQueue>, further: BTreeMap<ModelName, Arc<dyn JobQueue>>) -> Self {
        Self { first, further }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn JobQueue>> {
        std::iter::once(&self.first).chain(self.further.values())
    }
}

/// Shows the names of the models.
impl fmt::Debug for ModelQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelQueues").field("further", &self.further.keys()).finish_non_exhaustive()
    }
}

#[async_trait]
impl JobQueue for ModelQueues {
    fn max_inline_bytes(&self) -> Option<u64> {
        self.first.max_inline_bytes()
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        match job.model.filter(|_| job.key != job.hash) {
            None => self.first.publish(job).await,
            Some(model) => match self.further.get(&model) {
                Some(queue) => queue.publish(job).await,
                None => {
                    Err(QueueError::Unavailable(format!("no queue for the model {model}; add it to MODELS").into()))
                }
            },
        }
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.first.lease().await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        let Some(models) = capabilities.models() else { return self.first.lease().await };
        let further = models.iter().filter_map(|model| self.further.get(model));
        // The others are dropped: they hold no job, or return it.
        let (leased, ..) = select_all(std::iter::once(&self.first).chain(further).map(|queue| queue.lease())).await;
        leased
    }

    async fn has_worker(&self, model: &ModelName) -> Result<Option<bool>, QueueError> {
        match self.further.get(model) {
            Some(queue) => queue.has_worker(model).await,
            None => self.first.has_worker(model).await,
        }
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.first.state(hash).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let mut total = Depth::default();
        for queue in self.all() {
            let Depth { waiting, leased, dead, oldest } = queue.depth().await?;
            total.waiting += waiting;
            total.leased = leased.map(|leased| total.leased.unwrap_or_default() + leased);
            total.dead += dead;
            total.oldest = total.oldest.max(oldest);
        }
        Ok(total)
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        for queue in self.all() {
            if let Some(given_up) = queue.given_up().await? {
                return Ok(Some(given_up));
            }
        }
        Ok(None)
    }
}
