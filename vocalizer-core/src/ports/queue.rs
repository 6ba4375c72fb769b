//! The way from backend to workers.

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
    /// The hash of its bytes: the job's identity, and where its result goes.
    pub hash: SongHash,
    /// Its bytes, or the way to them.
    pub payload: JobPayload,
}

/// How a job brings its song along.
#[derive(Clone)]
#[non_exhaustive]
pub enum JobPayload {
    /// At the backend, under its hash: for queues that live beside the backend's store.
    Stored,
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
            Self::Stored => f.write_str("Stored"),
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Claim(location) => f.debug_tuple("Claim").field(location).finish(),
        }
    }
}

/// Carries jobs from the backend to any number of workers, at least once each and in no promised order.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// What a job is to bring along: its song's bytes ([`JobPayload::Inline`]) where there are no more than this, and
    /// else where to fetch them ([`JobPayload::Claim`]). `None` for a queue that carries hashes alone, as
    /// [`JobPayload::Stored`].
    fn max_inline_bytes(&self) -> Option<u64> {
        None
    }

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

    /// Leases that outlive this process; `None` for a queue whose leases end with the process or its connection.
    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        None
    }

    /// Where the job of a hash is.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError>;

    /// Where the jobs of several hashes are, in their order. A queue that finds them all at once overrides this.
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

    /// How full the queue is.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// The newest dead letters, at most `limit`, newest first. A job that is published again is no dead letter any more;
    /// a queue whose broker cannot look for one keeps it as a record of what was.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError>;

    /// The next job that the queue gave up by itself and nobody has taken note of: its workers died at it, or refused it,
    /// and none of them said so to the backend. `None` where there is none, and always at a queue that leaves giving up to
    /// its workers.
    ///
    /// It is the caller's alone until it is filed; one whose caller drops it or dies comes again. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        Ok(None)
    }
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// On the queue, with so many jobs before it; one that was handed back with a delay counts as last.
    Waiting {
        /// How many come first.
        before: u64,
    },
    /// Leased, and nowhere else.
    Leased,
    /// The queue does not have it: never published, settled, or set aside.
    Absent,
    /// The queue cannot tell (RabbitMQ cannot).
    Unknown,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Jobs that wait, those with a delay included.
    pub waiting: u64,
    /// Jobs that are leased; `None` where the queue cannot tell.
    pub leased: Option<u64>,
    /// Jobs that were set aside.
    pub dead: u64,
    /// How long the oldest waiting job has been on the queue; `None` also where the queue cannot tell.
    pub oldest: Option<Duration>,
}

/// A job that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub hash: SongHash,
    /// Why.
    pub reason: FailureReason,
    /// How many attempts it had.
    pub attempts: u32,
}

/// A job that the queue gave up by itself. It is among the dead letters already; what is missing is that somebody lets its
/// songs fail.
#[async_trait]
pub trait GivenUp: Send {
    /// Which job, why, and after how many attempts as far as the queue knows.
    fn letter(&self) -> &DeadLetter;

    /// When it was given up, by the queue's clock, where somebody was told of it before: its songs may have failed then, and
    /// been asked for again since.
    fn repeated_since(&self) -> Option<OffsetDateTime>;

    /// Noted: on return it durably is a dead letter like any other, and comes no more. Call it after its songs have failed,
    /// never before.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]; it may then come again.
    async fn file(self: Box<Self>) -> Result<(), QueueError>;
}

/// What is to become of a job that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The attempt failed: again after a while. It counts.
    Retry {
        /// How long to wait at least.
        after: Duration,
    },
    /// There was no attempt to speak of, because something around it is amiss or the worker stops: again after a while,
    /// and this one does not count.
    Later {
        /// How long to wait at least.
        after: Duration,
    },
    /// Never again: it becomes a dead letter.
    Never {
        /// Why.
        reason: FailureReason,
    },
}

/// The right to work on one job for a while. Dropping it hands the job back, at the latest when the lease runs out.
///
/// Settling (acknowledge, fail) a lease that has run out is [`QueueError::LeaseLost`] and changes nothing: the job is
/// somebody else's by then. A queue whose broker cannot tell reports success instead; the job comes again.
#[async_trait]
pub trait Lease: Send {
    /// The job.
    fn job(&self) -> &Job;

    /// Which attempt at this job it is, from 1; those that ended in [`Failure::Later`] are not counted, and one whose
    /// lease was never [extended](Lease::extend) need not be.
    fn attempt(&self) -> u32;

    /// How long the lease holds from when it was granted or extended.
    fn visibility(&self) -> Duration;

    /// Keeps the lease from running out, for as long again as it was granted. Cancel-safe, and repeats do no harm. From
    /// the first time on the attempt counts, if it did not before: a worker extends a lease before it begins.
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

    /// Not done: on return the job durably waits again, or is set aside.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] or [`QueueError::Unavailable`]; the job then comes again when the lease runs out.
    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError>;
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
