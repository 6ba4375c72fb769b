//! The way from backend to workers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::BoxError;
use crate::secret::Secret;
use crate::song::SongHash;

/// A song to be split.
#[derive(Debug, Clone)]
pub struct Job {
    /// The hash of its bytes: the job's identity, and where its result goes.
    pub hash: SongHash,
    /// Its bytes, or the way to them.
    pub payload: JobPayload,
}

/// How a job brings its song along.
#[derive(Clone)]
#[non_exhaustive]
pub enum JobPayload {
    /// The bytes of the file, as the original sends them.
    Inline(Bytes),
    /// Where to fetch them (a claim check), for files that the broker would refuse. Hidden from logs, since such a
    /// location may carry a signature.
    Claim(Secret<String>),
}

/// Says how many bytes there are and not which: a log is no place for somebody's song, nor for 75 MiB of anything.
impl fmt::Debug for JobPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Claim(location) => f.debug_tuple("Claim").field(location).finish(),
        }
    }
}

/// Carries jobs from the backend to any number of workers, at least once each and in no promised order.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Puts a job on the queue. On return it is durable and will be delivered until it is settled.
    ///
    /// A repeat may put a second job on the queue; a queue that knows its jobs drops the repeat instead. Workers and
    /// results are idempotent by hash, so both are right. After a dropped future the job may or may not be there.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLarge`] when an inline payload is more than the queue carries: publish a claim instead.
    /// [`QueueError::Unavailable`] otherwise.
    async fn publish(&self, job: Job) -> Result<(), QueueError>;

    /// Waits for a job and leases it: nobody else gets it while the lease holds.
    ///
    /// Cancel-safe: a job taken by a dropped call goes back on the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError>;

    /// How many jobs are before this one, `None` where it is not waiting or the queue cannot tell (RabbitMQ cannot).
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn position(&self, hash: &SongHash) -> Result<Option<u64>, QueueError>;
}

/// The right to work on one job for a while. Dropping it hands the job back, at the latest when the lease runs out.
///
/// Settling (acknowledge, hand back, reject) a lease that has run out is [`QueueError::LeaseLost`] and changes nothing:
/// the job is somebody else's by then. A queue whose broker cannot tell reports success instead; the job comes again.
#[async_trait]
pub trait Lease: Send {
    /// The job.
    fn job(&self) -> &Job;

    /// How often this job has been delivered, this time included; `None` where the queue does not count.
    fn delivery(&self) -> Option<u32>;

    /// Keeps the lease from running out, for as long again as it was granted. Cancel-safe, and repeats do no harm.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`].
    async fn extend(&mut self) -> Result<(), QueueError>;

    /// Done: on return the job is durably off the queue. Call it after the result was delivered, never before.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`]; the job then comes again, which does no harm.
    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError>;

    /// Not now: the job is delivered again, to anyone, no sooner than `delay` from now where the queue can wait.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`]; the job then comes again when the lease runs out.
    async fn hand_back(self: Box<Self>, delay: Duration) -> Result<(), QueueError>;

    /// Never: on return the job is durably set aside as a dead letter and is not delivered again.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`].
    async fn reject(self: Box<Self>) -> Result<(), QueueError>;
}

/// What can go wrong with a queue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The payload is more than the queue carries; no retry will help.
    #[error("the job is larger than the {max_bytes} bytes the queue carries")]
    TooLarge {
        /// The most it carries.
        max_bytes: u64,
    },
    /// The lease ran out, and the job may be somebody else's.
    #[error("the lease was lost")]
    LeaseLost,
    /// The queue cannot be reached; the same call may work later.
    #[error("the queue is unavailable")]
    Unavailable(#[source] BoxError),
}
