//! Leases jobs to workers over HTTP.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, select};
use futures_util::lock::Mutex as AsyncMutex;
use vocalizer_api::id::LeaseId;

use super::ServiceError;
use crate::causes::chain;
use crate::models::Capabilities;
use crate::ports::{Clock, Failure, Job, JobQueue, Lease, LeasedJob, QueueError};

/// How long returning jobs to the queue may take at shutdown.
const CLOSING: Duration = Duration::from_secs(5);

/// How often [`RemoteLeases::run`] checks for expired leases.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// The error for an unknown lease.
const LEASE_LOST: ServiceError =
    ServiceError::Conflict { message: "the lease has expired or was settled", field: None };

/// Leases jobs to workers that identify a lease only by its ID.
///
/// If the queue has [durable leases](JobQueue::durable_leases), they keep no state: every server of a cluster can
/// extend and settle a lease that another one granted, and leases survive restarts. If a lease belongs to a connection
/// (RabbitMQ) or to the process, they keep it in memory: only this server knows it and returns it at shutdown.
///
/// A job whose worker never extends its lease counts as not attempted: the response with the job may be lost.
pub struct RemoteLeases {
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    /// In the order in which they were granted.
    leases: Mutex<Vec<KeptLease>>,
}

#[derive(Clone)]
struct KeptLease {
    id: LeaseId,
    /// `None` once settled.
    lease: Arc<AsyncMutex<Option<Box<dyn Lease>>>>,
    until: Duration,
    /// Whether the worker has extended it, which shows that the job arrived.
    arrived: bool,
}

impl RemoteLeases {
    /// Returns the leases of a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, Vec<KeptLease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits up to `wait` for a job of the default model. Cancel-safe: a dropped call returns its job to the queue.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn lease(&self, wait: Duration) -> Result<Option<LeasedJob>, ServiceError> {
        self.lease_for(&Capabilities::default(), wait).await
    }

    /// Like [`Self::lease`], for a worker with these capabilities.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn lease_for(
        &self,
        capabilities: &Capabilities,
        wait: Duration,
    ) -> Result<Option<LeasedJob>, ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return Ok(self.clock.within(wait, leases.grant_for(capabilities)).await.transpose()?);
        }
        self.tidy().await;
        let Some(leased) = self.clock.within(wait, self.queue.lease_for(capabilities)).await else { return Ok(None) };
        let leased = leased?;
        let (id, visibility, attempt) = (LeaseId::random(), leased.visibility(), leased.attempt());
        let &Job { hash, model, key, trace, .. } = leased.job();
        let job = LeasedJob { lease: id, hash, model, key, trace, attempt, visibility };
        // Returned before the lease expires, since an expiry would count as an attempt.
        let until = self.clock.elapsed().saturating_add(visibility / 2);
        self.leases().push(KeptLease { id, lease: Arc::new(AsyncMutex::new(Some(leased))), until, arrived: false });
        Ok(Some(job))
    }

    /// Extends a lease by its full duration.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] if it has expired, was settled or never existed; [`ServiceError::Unavailable`].
    pub async fn extend(&self, id: LeaseId) -> Result<(), ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return leases.extend(id).await.map_err(lease_error);
        }
        let kept = self.find(id).await?;
        let mut lease = kept.lease.lock().await;
        let lease = lease.as_mut().ok_or(LEASE_LOST)?;
        if let Err(error) = lease.extend().await {
            if matches!(error, QueueError::LeaseLost) {
                self.forget(id);
            }
            return Err(lease_error(error));
        }
        let until = self.clock.elapsed().saturating_add(lease.visibility());
        if let Some(kept) = self.leases().iter_mut().find(|kept| kept.id == id) {
            (kept.until, kept.arrived) = (until, true);
        }
        Ok(())
    }

    /// Settles a job: done, or failed as `failure` says.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] if the lease has expired, was settled or never existed;
    /// [`ServiceError::Unavailable`], after which the job is redelivered.
    pub async fn settle(&self, id: LeaseId, failure: Option<Failure>) -> Result<(), ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return leases.settle(id, failure).await.map_err(lease_error);
        }
        let kept = self.find(id).await?;
        let lease = kept.lease.lock().await.take().ok_or(LEASE_LOST)?;
        self.forget(id);
        let settled = match failure {
            None => lease.acknowledge().await,
            Some(failure) => lease.fail(failure).await,
        };
        settled.map_err(lease_error)
    }

    /// Returns the jobs of all leases in memory at shutdown. This does not count as an attempt, so restarts cost
    /// nothing. Workers that are still busy can deliver to the next server.
    pub async fn close(&self) {
        let kept: Vec<_> = self.leases().drain(..).collect();
        let returned = join_all(kept.into_iter().map(return_job));
        // A queue that does not respond redelivers them by itself; shutdown does not wait for it.
        select(pin!(returned), pin!(self.clock.sleep(CLOSING))).await;
    }

    /// Drops expired leases, as if their workers had died, and returns jobs that never arrived. Every other call does
    /// this too.
    pub async fn tidy(&self) {
        let now = self.clock.elapsed();
        let over: Vec<_> = self.leases().extract_if(.., |kept| kept.until <= now).collect();
        join_all(over.into_iter().filter(|kept| !kept.arrived).map(return_job)).await;
    }

    /// Runs [`Self::tidy`] periodically while polled.
    pub async fn run(&self) {
        loop {
            self.clock.sleep(TIDY_INTERVAL).await;
            self.tidy().await;
        }
    }

    async fn find(&self, id: LeaseId) -> Result<KeptLease, ServiceError> {
        self.tidy().await;
        self.leases().iter().find(|kept| kept.id == id).cloned().ok_or(LEASE_LOST)
    }

    fn forget(&self, id: LeaseId) {
        self.leases().retain(|kept| kept.id != id);
    }
}

fn lease_error(error: QueueError) -> ServiceError {
    if matches!(error, QueueError::LeaseLost) { LEASE_LOST } else { error.into() }
}

/// Returns a job to the queue without counting an attempt.
async fn return_job(kept: KeptLease) {
    let Some(lease) = kept.lease.lock().await.take() else { return };
    let hash = lease.job().hash;
    if let Err(error) = lease.fail(Failure::Later { after: Duration::ZERO }).await {
        tracing::warn!(%hash, error = chain(&error), "returning a job failed; it will be redelivered");
    }
}
