//! Where workers that come over HTTP take jobs and bring them back.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, select};
use futures_util::lock::Mutex as AsyncMutex;

use super::ServiceError;
use crate::causes::chain;
use crate::ports::{Clock, Failure, JobQueue, Lease, LeaseId, LeasedJob, QueueError};

/// How long a queue has to take jobs back when the server stops.
const CLOSING: Duration = Duration::from_secs(5);

/// How often [`Desk::tend`] looks for leases that have run out.
const TENDING: Duration = Duration::from_secs(1);

/// What is said of a lease that is not there.
const LOST: ServiceError = ServiceError::Conflict { message: "the lease is not held any more", field: None };

/// Hands jobs to workers that know a lease by its identifier alone.
///
/// Where the queue has [durable leases](JobQueue::durable_leases), the desk keeps nothing: every server of a cluster can
/// extend and settle what another one granted, and a restart forgets none. Where a lease is a connection's (RabbitMQ) or
/// the process's, the desk keeps it in memory: then only this server knows it, and gives it back when it stops.
///
/// A job whose worker never extends its lease was not attempted: the answer with the job in it may not have arrived.
pub struct Desk {
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    /// In the order in which they were granted.
    leases: Mutex<Vec<Kept>>,
}

#[derive(Clone)]
struct Kept {
    id: LeaseId,
    /// Empty once it is settled.
    lease: Arc<AsyncMutex<Option<Box<dyn Lease>>>>,
    until: Duration,
    /// Whether its worker was heard of.
    arrived: bool,
}

impl Desk {
    /// A desk in front of a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job, at most so long. Cancel-safe: a job taken by a dropped call goes back on the queue.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn lease(&self, wait: Duration) -> Result<Option<LeasedJob>, ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return Ok(self.clock.within(wait, leases.grant()).await.transpose()?);
        }
        self.tidy().await;
        let Some(leased) = self.clock.within(wait, self.queue.lease()).await else { return Ok(None) };
        let leased = leased?;
        let (id, hash, visibility) = (LeaseId::random(), leased.job().hash, leased.visibility());
        let job = LeasedJob { lease: id, hash, attempt: leased.attempt(), visibility };
        // Given back before the queue takes it back, which would count.
        let until = self.clock.elapsed().saturating_add(visibility / 2);
        self.leases().push(Kept { id, lease: Arc::new(AsyncMutex::new(Some(leased))), until, arrived: false });
        Ok(Some(job))
    }

    /// Keeps a lease from running out, for as long again as it was granted.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when it has run out, was settled or never was; [`ServiceError::Unavailable`].
    pub async fn extend(&self, id: LeaseId) -> Result<(), ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return leases.extend(id).await.map_err(lost);
        }
        let kept = self.find(id).await?;
        let mut lease = kept.lease.lock().await;
        let lease = lease.as_mut().ok_or(LOST)?;
        if let Err(error) = lease.extend().await {
            if matches!(error, QueueError::LeaseLost) {
                self.forget(id);
            }
            return Err(lost(error));
        }
        let until = self.clock.elapsed().saturating_add(lease.visibility());
        if let Some(kept) = self.leases().iter_mut().find(|kept| kept.id == id) {
            (kept.until, kept.arrived) = (until, true);
        }
        Ok(())
    }

    /// The job is done, or is not: `failure` says what is to become of it.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when the lease has run out, was settled or never was; [`ServiceError::Unavailable`], after
    /// which the job comes again.
    pub async fn settle(&self, id: LeaseId, failure: Option<Failure>) -> Result<(), ServiceError> {
        if let Some(leases) = self.queue.durable_leases() {
            return leases.settle(id, failure).await.map_err(lost);
        }
        let kept = self.find(id).await?;
        let lease = kept.lease.lock().await.take().ok_or(LOST)?;
        self.forget(id);
        let settled = match failure {
            None => lease.acknowledge().await,
            Some(failure) => lease.fail(failure).await,
        };
        settled.map_err(lost)
    }

    /// Gives back every job that this desk keeps itself, for a server that stops. None of this was an attempt: a server may
    /// stop as often as it likes. Workers that are still at their songs deliver to the next server all the same.
    pub async fn close(&self) {
        let kept: Vec<_> = self.leases().drain(..).collect();
        let given_back = join_all(kept.into_iter().map(give_back));
        // A queue that does not answer gives them to others by itself; nobody who stops waits for it.
        select(pin!(given_back), pin!(self.clock.sleep(CLOSING))).await;
    }

    /// Lets go of leases that have run out, as if their workers had died, and gives back what never arrived. Every call
    /// does it, too.
    pub async fn tidy(&self) {
        let now = self.clock.elapsed();
        let over: Vec<_> = self.leases().extract_if(.., |kept| kept.until <= now).collect();
        join_all(over.into_iter().filter(|kept| !kept.arrived).map(give_back)).await;
    }

    /// Tidies now and then, for as long as it is polled.
    pub async fn tend(&self) {
        loop {
            self.clock.sleep(TENDING).await;
            self.tidy().await;
        }
    }

    async fn find(&self, id: LeaseId) -> Result<Kept, ServiceError> {
        self.tidy().await;
        self.leases().iter().find(|kept| kept.id == id).cloned().ok_or(LOST)
    }

    fn forget(&self, id: LeaseId) {
        self.leases().retain(|kept| kept.id != id);
    }
}

fn lost(error: QueueError) -> ServiceError {
    if matches!(error, QueueError::LeaseLost) { LOST } else { error.into() }
}

/// Puts a job back whose lease was no attempt.
async fn give_back(kept: Kept) {
    let Some(lease) = kept.lease.lock().await.take() else { return };
    let hash = lease.job().hash;
    if let Err(error) = lease.fail(Failure::Later { after: Duration::ZERO }).await {
        tracing::warn!(%hash, error = chain(&error), "a job could not be given back; it comes again");
    }
}
