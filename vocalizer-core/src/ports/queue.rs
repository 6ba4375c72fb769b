//! The job queue between backend and workers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use time::OffsetDateTime;

use super::{BoxError, DurableLeases};
use crate::secret::Secret;
use crate::song::{FailureReason, SongHash};

/// A song to be split.
#[derive(Debug, Clone)]
pub struct Job {
    /// The hash of the song's bytes. It identifies the job and addresses its result.
    pub hash: SongHash,
    /// The song's bytes, or where to get them.
    pub payload: JobPayload,
}

/// How a job carries its song.
#[derive(Clone)]
#[non_exhaustive]
pub enum JobPayload {
    /// The backend has the bytes under the hash: for queues that run beside the backend's store.
    Stored,
    /// The bytes of the file, as the original system sends them.
    Inline(Bytes),
    /// A claim check: where to fetch the bytes, for files above the broker's size limit. Hidden from logs, because the
    /// location may contain a signature.
    Claim(Secret<String>),
}

/// Shows the size only: a user's song, up to 75 MiB, must not end up in a log.
impl fmt::Debug for JobPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("Stored"),
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Claim(location) => f.debug_tuple("Claim").field(location).finish(),
        }
    }
}

/// Delivers jobs from the backend to any number of workers, at least once and in no guaranteed order.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Returns the largest song, in bytes, that a job carries inline ([`JobPayload::Inline`]); a larger one is sent as
    /// a [`JobPayload::Claim`]. `None` for a queue that carries only hashes ([`JobPayload::Stored`]).
    fn max_inline_bytes(&self) -> Option<u64> {
        None
    }

    /// Publishes a job. On return it is durable and is delivered until it is settled.
    ///
    /// A repeat may publish a second job; a queue that knows its jobs ignores the repeat. Both are correct, because
    /// workers and results are idempotent by hash. After a dropped future the job may or may not be published.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLarge`] if an inline payload exceeds the queue's limit: publish a claim instead.
    /// [`QueueError::Unavailable`] otherwise.
    async fn publish(&self, job: Job) -> Result<(), QueueError>;

    /// Waits for a job and leases it: no other worker gets it while the lease is valid.
    ///
    /// Cancel-safe: a job taken by a dropped call returns to the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError>;

    /// Returns the leases that outlive this process; `None` if leases end with the process or its connection.
    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        None
    }

    /// Returns the state of the job for a hash.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError>;

    /// Returns the states for several hashes, in the same order. Override it if the queue can look them up in one step.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        let mut states = Vec::with_capacity(hashes.len());
        for hash in hashes {
            states.push(self.state(hash).await?);
        }
        Ok(states)
    }

    /// Returns the queue's depth.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Returns the next job that the queue gave up by itself and that is not filed yet: its workers crashed on it or
    /// rejected it without reporting to the backend. `None` if there is none, and always for a queue on which only
    /// workers give up jobs.
    ///
    /// The caller has it exclusively until it is filed. If the caller drops it or crashes, it is delivered again.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        Ok(None)
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// On the queue. A job handed back with a delay counts as last.
    Waiting {
        /// The number of jobs ahead of it.
        before: u64,
    },
    /// Leased by a worker.
    Leased,
    /// Not on the queue: never published, settled, or a dead letter.
    Absent,
    /// The queue cannot tell (RabbitMQ).
    Unknown,
}

/// The depth of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting jobs, including delayed ones.
    pub waiting: u64,
    /// Leased jobs; `None` if the queue cannot tell.
    pub leased: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest waiting job has been on the queue; `None` if there is none or the queue cannot tell.
    pub oldest: Option<Duration>,
}

/// A job that is not retried any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The hash of the song.
    pub hash: SongHash,
    /// Why it was given up.
    pub reason: FailureReason,
    /// The number of attempts.
    pub attempts: u32,
}

/// A job that the queue gave up by itself. It is already a dead letter; its songs still have to be marked as failed.
#[async_trait]
pub trait GivenUp: Send {
    /// Returns the dead letter, with as many attempts as the queue knows of.
    fn letter(&self) -> &DeadLetter;

    /// Returns when the job was given up, by the queue's clock, if this is a redelivery: its songs may have been marked
    /// as failed then and retried since.
    fn repeated_since(&self) -> Option<OffsetDateTime>;

    /// Files the job: on return it is durably an ordinary dead letter and is not delivered again. Call it only after
    /// its songs are marked as failed.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]; it may then be delivered again.
    async fn file(self: Box<Self>) -> Result<(), QueueError>;
}

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

/// An error of a queue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The payload exceeds the queue's limit; a retry does not help.
    #[error("the job exceeds the queue's limit of {max_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// The lease expired, and another worker may have the job.
    #[error("the lease was lost")]
    LeaseLost,
    /// The queue is unreachable; the same call may succeed later.
    #[error("the queue is unavailable")]
    Unavailable(#[source] BoxError),
}
