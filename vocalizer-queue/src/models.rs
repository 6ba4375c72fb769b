//! One queue per further model, over queues that cannot select jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::select_all;
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::ports::{Depth, GivenUp, Job, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

/// A [`JobQueue`] of several, for brokers whose consumers take whatever is next: jobs for the default model are in one, and
/// those for each further model in another. Original programs know the first only; see decision 68.
///
/// Workers take from the queues of their models in turn, so that no model waits for all jobs of another. Publishing a job of a
/// model without a queue fails with [`QueueError::NoModel`], and such a model has no workers.
#[derive(Clone)]
pub struct ModelQueues {
    default: ModelName,
    first: Arc<dyn JobQueue>,
    further: BTreeMap<ModelName, Arc<dyn JobQueue>>,
    /// The number of the lease call, which begins with another queue each time.
    turn: Arc<AtomicUsize>,
}

impl ModelQueues {
    /// Creates it from the default model and its queue, and those of further models. The default model may have one of those
    /// too: it is a further model of songs that were first split when another one was the default.
    #[must_use]
    pub fn new(default: ModelName, first: Arc<dyn JobQueue>, further: BTreeMap<ModelName, Arc<dyn JobQueue>>) -> Self {
        Self { default, first, further, turn: Arc::default() }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn JobQueue>> {
        once(&self.first).chain(self.further.values())
    }

    /// Returns the queue of a job.
    fn queue_of(&self, job: &Job) -> Result<&Arc<dyn JobQueue>, QueueError> {
        match job.model {
            None => Ok(&self.first),
            Some(model) if model == self.default => match self.further.get(&model) {
                Some(queue) if job.key != job.hash => Ok(queue),
                _ => Ok(&self.first),
            },
            Some(model) => self.further.get(&model).ok_or(QueueError::NoModel { model }),
        }
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
        self.queue_of(&job)?.publish(job).await
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.first.lease().await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        let Some(models) = capabilities.models() else { return self.first.lease().await };
        let mut queues: Vec<_> =
            once(&self.first).chain(models.iter().filter_map(|model| self.further.get(model))).collect();
        if let [only] = queues.as_slice() {
            return only.lease().await;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % queues.len();
        queues.rotate_left(turn);
        for queue in &queues {
            if let Some(lease) = queue.lease_ready().await? {
                return Ok(lease);
            }
        }
        // Waiting at all of them may take several jobs at once, of which all but one return.
        let (leased, ..) = select_all(queues.into_iter().map(|queue| queue.lease())).await;
        leased
    }

    async fn has_worker(&self, model: &ModelName) -> Result<Option<bool>, QueueError> {
        let first = (*model == self.default).then_some(&self.first);
        for queue in first.into_iter().chain(self.further.get(model)) {
            match queue.has_worker(model).await? {
                Some(false) => {}
                known => return Ok(known),
            }
        }
        Ok(Some(false))
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
