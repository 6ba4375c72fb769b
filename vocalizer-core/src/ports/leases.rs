//! Leases: exclusive rights to process a job for a limited time.

use std::time::Duration;

use async_trait::async_trait;
use vocalizer_api::id::LeaseId;

use super::{Job, JobTrace, QueueError};
use crate::models::{Capabilities, ModelName};
use crate::song::{FailureReason, SongHash};

/// What happens to a job that was not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The attempt failed and counts; retry after a delay.
    Retry {
        /// The minimum delay.
        after: Duration,
    },
    /// The attempt does not count, because of a problem around it or because the worker stops; retry after a delay.
    Later {
        /// The minimum delay.
        after: Duration,
    },
    /// No retry: the job becomes a dead letter.
    Never {
        /// Why the job is given up.
        reason: FailureReason,
    },
}

/// The exclusive right to process one job for a limited time. Dropping it hands the job back, at the latest when the
/// lease expires.
///
/// Settling (acknowledge, fail) an expired lease returns [`QueueError::LeaseLost`] and changes nothing: another worker
/// may have the job by then. A queue whose broker cannot tell reports success instead; the job is delivered again.
///
/// ```
/// # use std::time::Duration;
/// use vocalizer_core::ports::{AudioError, Failure, JobQueue, QueueError};
///
/// /// Processes one job.
/// async fn work(queue: &dyn JobQueue, split: impl AsyncFn() -> Result<(), AudioError>) -> Result<(), QueueError> {
///     let mut lease = queue.lease().await?;
///     lease.extend().await?;
///     match split().await {
///         Ok(()) => lease.acknowledge().await,
///         Err(_) => lease.fail(Failure::Retry { after: Duration::from_secs(10) }).await,
///     }
/// }
/// ```
#[async_trait]
pub trait Lease: Send {
    /// Returns the job.
    fn job(&self) -> &Job;

    /// Returns the number of this attempt, from 1. Attempts that ended in [`Failure::Later`] do not count, and those
    /// whose lease was never [extended](Lease::extend) need not.
    fn attempt(&self) -> u32;

    /// Returns how long the lease is valid from when it was granted or extended.
    fn visibility(&self) -> Duration;

    /// Extends the lease by its full duration from now. Cancel-safe and idempotent. From the first extension on, the
    /// attempt counts: a worker extends a lease before it starts to work.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`].
    async fn extend(&mut self) -> Result<(), QueueError>;

    /// Completes the job: on return it is durably off the queue. Call it only after the result was delivered.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`]; the job is then delivered again, which is harmless.
    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError>;

    /// Fails the attempt: on return the job durably waits again or is a dead letter.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`]; the job is then delivered again when the lease
    /// expires.
    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError>;
}

/// A job leased by identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedJob {
    /// The lease to extend and settle.
    pub lease: LeaseId,
    /// The hash of the song.
    pub hash: SongHash,
    /// The model to split with; see [`Job::model`].
    pub model: Option<ModelName>,
    /// The key of the result; see [`Job::key`].
    pub key: SongHash,
    /// The trace in which it was requested.
    pub trace: Option<JobTrace>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How long the lease is valid from now, and from each extension.
    pub visibility: Duration,
}

/// Leases for workers that know only an identifier. They are stored with the jobs: every process that has the queue
/// open can extend and settle them, and they survive a restart.
///
/// The response that gives a worker its job may get lost. So the attempt counts from the first
/// [`extend`](DurableLeases::extend): a lease that expires before that is not an attempt. A worker extends a lease
/// before anything else.
///
/// ```
/// use vocalizer_core::ports::{DurableLeases, QueueError};
///
/// /// Does what three HTTP requests of a worker ask for.
/// async fn serve(leases: &dyn DurableLeases) -> Result<(), QueueError> {
///     let job = leases.grant().await?;
///     // From here on, the attempt counts.
///     leases.extend(job.lease).await?;
///     leases.settle(job.lease, None).await
/// }
/// ```
#[async_trait]
pub trait DurableLeases: Send + Sync {
    /// Waits for a job and leases it. On return the lease is durable.
    ///
    /// Cancel-safe: a job taken by a dropped call returns to the queue, and no attempt is counted.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn grant(&self) -> Result<LeasedJob, QueueError>;

    /// Like [`Self::grant`], for a job that a worker with these capabilities takes. The default is for a queue of one
    /// model and ignores them.
    ///
    /// # Errors
    ///
    /// Those of [`Self::grant`].
    async fn grant_for(&self, _capabilities: &Capabilities) -> Result<LeasedJob, QueueError> {
        self.grant().await
    }

    /// Extends a lease by its full duration from now and counts the attempt. Idempotent.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] if it has expired, was settled or never existed; [`QueueError::Unavailable`].
    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError>;

    /// Settles a lease like [`Lease::acknowledge`](super::Lease::acknowledge) or [`Lease::fail`](super::Lease::fail).
    ///
    /// # Errors
    ///
    /// As [`Self::extend`].
    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError>;
}
