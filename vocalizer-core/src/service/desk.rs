//! Where workers that come over HTTP take jobs and bring them back.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use futures_util::lock::Mutex as AsyncMutex;

use super::ServiceError;
use crate::causes::chain;
use crate::id::opaque_id;
use crate::ports::{Clock, Failure, JobQueue, Lease, QueueError};
use crate::song::SongHash;

opaque_id!(
    /// Names a lease to the worker that has it, and to nobody else.
    LeaseId,
    ParseLeaseIdError,
    "lease"
);

/// How long a queue has to take jobs back when the server stops.
const CLOSING: Duration = Duration::from_secs(5);

/// What is said of a lease that is not there.
const LOST: ServiceError = ServiceError::Conflict { message: "the lease is not held any more", field: None };

/// A job that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedJob {
    /// What to extend and to settle it by.
    pub lease: LeaseId,
    /// Which song.
    pub hash: SongHash,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// How long the lease holds from now, and again from each time it is extended.
    pub visibility: Duration,
}

/// Keeps leases for workers that cannot keep them themselves. One that is not extended in time is let go, as if its
/// worker had died.
pub struct Desk {
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    leases: Mutex<HashMap<LeaseId, Kept>>,
}

#[derive(Clone)]
struct Kept {
    /// Empty once it is settled.
    lease: Arc<AsyncMutex<Option<Box<dyn Lease>>>>,
    until: Duration,
}

impl Desk {
    /// A desk in front of a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<LeaseId, Kept>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job, at most so long. Cancel-safe: a job taken by a dropped call goes back on the queue.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn lease(&self, wait: Duration) -> Result<Option<LeasedJob>, ServiceError> {
        self.tidy();
        let leased = match select(self.queue.lease(), pin!(self.clock.sleep(wait))).await {
            Either::Left((leased, _)) => leased?,
            Either::Right(_) => return Ok(None),
        };
        let (id, hash, visibility) = (LeaseId::random(), leased.job().hash, leased.visibility());
        let job = LeasedJob { lease: id, hash, attempt: leased.attempt(), visibility };
        let until = self.clock.elapsed().saturating_add(visibility);
        self.leases().insert(id, Kept { lease: Arc::new(AsyncMutex::new(Some(leased))), until });
        Ok(Some(job))
    }

    /// Keeps a lease from running out, for as long again as it was granted.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when it has run out, was settled or never was; [`ServiceError::Unavailable`].
    pub async fn extend(&self, id: LeaseId) -> Result<(), ServiceError> {
        let kept = self.find(id)?;
        let mut lease = kept.lease.lock().await;
        let lease = lease.as_mut().ok_or(LOST)?;
        match lease.extend().await {
            Ok(()) => {}
            Err(error) => return Err(self.lost(id, error)),
        }
        let until = self.clock.elapsed().saturating_add(lease.visibility());
        if let Some(kept) = self.leases().get_mut(&id) {
            kept.until = until;
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
        let kept = self.find(id)?;
        let lease = kept.lease.lock().await.take().ok_or(LOST)?;
        self.leases().remove(&id);
        let settled = match failure {
            None => lease.acknowledge().await,
            Some(failure) => lease.fail(failure).await,
        };
        settled.map_err(|error| self.lost(id, error))
    }

    /// Gives every job back, for a server that stops. None of this was an attempt: a server may stop as often as it likes.
    /// Workers that are still at their songs deliver to the next server all the same.
    pub async fn close(&self) {
        let kept: Vec<_> = self.leases().drain().map(|(_, kept)| kept).collect();
        let given_back = join_all(kept.into_iter().map(|kept| async move {
            let Some(lease) = kept.lease.lock().await.take() else { return };
            let hash = lease.job().hash;
            if let Err(error) = lease.fail(Failure::Later { after: Duration::ZERO }).await {
                tracing::warn!(%hash, error = chain(&error), "a job could not be given back; it comes again");
            }
        }));
        // A queue that does not answer gives them to others by itself; nobody who stops waits for it.
        select(pin!(given_back), pin!(self.clock.sleep(CLOSING))).await;
    }

    /// Lets go of leases that have run out. Every call for a job does it, too.
    pub fn tidy(&self) {
        let now = self.clock.elapsed();
        self.leases().retain(|_, kept| kept.until > now);
    }

    fn find(&self, id: LeaseId) -> Result<Kept, ServiceError> {
        self.tidy();
        self.leases().get(&id).cloned().ok_or(LOST)
    }

    fn lost(&self, id: LeaseId, error: QueueError) -> ServiceError {
        if matches!(error, QueueError::LeaseLost) {
            self.leases().remove(&id);
            return LOST;
        }
        error.into()
    }
}
