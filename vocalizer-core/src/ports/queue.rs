//! The job queue between backend and workers.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{DurableLeases, Job, JobLine, Lease, QueueError};
use crate::models::{Capabilities, ModelName};
use crate::song::{FailureReason, SongHash};

/// Delivers jobs from the backend to any number of workers, at least once.
///
/// A queue is fair if it knows [lines](JobLine): it delivers from the lines of the highest priority, and from these in
/// turn. A line that gets its first waiting job goes to the end of the round, and so does a line from which a job was
/// leased. A queue without lines delivers in no guaranteed order.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{collections::VecDeque, sync::Mutex, time::Duration};
/// # use async_trait::async_trait;
/// # use vocalizer_core::{ports::*, song::SongHash};
/// # struct Held(Job);
/// # #[async_trait]
/// # impl Lease for Held {
/// #     fn job(&self) -> &Job { &self.0 }
/// #     fn attempt(&self) -> u32 { 1 }
/// #     fn visibility(&self) -> Duration { Duration::from_secs(60) }
/// #     async fn extend(&mut self) -> Result<(), QueueError> { Ok(()) }
/// #     async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> { Ok(()) }
/// #     async fn fail(self: Box<Self>, _: Failure) -> Result<(), QueueError> { Ok(()) }
/// # }
/// # #[derive(Default)]
/// # struct Queue(Mutex<VecDeque<Job>>);
/// #[async_trait]
/// impl JobQueue for Queue {
///     async fn publish(&self, job: Job) -> Result<(), QueueError> {
///         Ok(self.0.lock().unwrap().push_back(job))
///     }
///
///     async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
///         let job = self.0.lock().unwrap().pop_front(); // A real queue waits for a job.
///         job.map(|job| Box::new(Held(job)) as _).ok_or_else(|| QueueError::Unavailable("no job".into()))
///     }
/// #     async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> { Ok(JobState::Unknown) }
/// #     async fn depth(&self) -> Result<Depth, QueueError> { Ok(Depth::default()) }
/// }
/// # let (queue, hash) = (Queue::default(), SongHash::of(b"the song"));
/// # queue.publish(Job::new(hash, JobPayload::Stored)).await?;
/// # assert_eq!(queue.lease().await?.job().hash, hash);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Returns the largest song, in bytes, that a job carries inline; a larger one is sent as a claim. `None` for a
    /// queue that carries only hashes. See [`JobPayload`](super::JobPayload).
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
    /// [`QueueError::NoModel`] if the queue takes no jobs of the model. [`QueueError::Unavailable`] otherwise.
    async fn publish(&self, job: Job) -> Result<(), QueueError>;

    /// Publishes a job like [`Self::publish`], at the end of a line. By default the line is ignored.
    ///
    /// # Errors
    ///
    /// As [`Self::publish`].
    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        let _ = line;
        self.publish(job).await
    }

    /// Moves the waiting job with a key to the end of another line if it is delivered earlier there: songs with the same
    /// key share a job, and it belongs to the owner who comes first. Does nothing if no job waits, if it is delayed, or
    /// by default.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn move_ahead(&self, key: &SongHash, line: JobLine) -> Result<(), QueueError> {
        let _ = (key, line);
        Ok(())
    }

    /// Removes the waiting jobs with a key. A leased job stays: its worker learns from the backend that the result is not
    /// wanted. Does nothing by default: the worker that gets the job learns it then.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn withdraw(&self, key: &SongHash) -> Result<(), QueueError> {
        let _ = key;
        Ok(())
    }

    /// Waits for a job of the default model and leases it: no other worker gets it while the lease is valid.
    ///
    /// Cancel-safe: a job taken by a dropped call returns to the queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError>;

    /// Like [`Self::lease`], for a job that a worker with these capabilities takes: other jobs stay for other workers. The
    /// default is for a queue of one model and ignores them.
    ///
    /// # Errors
    ///
    /// Those of [`Self::lease`].
    async fn lease_for(&self, _capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        self.lease().await
    }

    /// Like [`Self::lease`], without waiting. `None` if no job is ready, or by default: the queue cannot tell.
    ///
    /// # Errors
    ///
    /// Those of [`Self::lease`].
    async fn lease_ready(&self) -> Result<Option<Box<dyn Lease>>, QueueError> {
        Ok(None)
    }

    /// Returns whether a worker for a model waits for jobs now; `None` if the queue does not know its workers.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn has_worker(&self, _model: &ModelName) -> Result<Option<bool>, QueueError> {
        Ok(None)
    }

    /// Returns the leases that outlive this process; `None` if leases end with the process or its connection.
    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        None
    }

    /// Returns the state of the job with a key, which is the hash for the default model.
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

    /// Returns how many jobs of each model are delivered before the waiting job with a key if no other job is published.
    /// `None` if it does not wait or is delayed, or by default: the queue cannot tell.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn jobs_ahead(&self, _key: &SongHash) -> Result<Option<JobsAhead>, QueueError> {
        Ok(None)
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

/// Numbers of jobs by their model. A job without one is of the default model.
pub type JobsAhead = BTreeMap<Option<ModelName>, u64>;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// On the queue. A job handed back with a delay counts as last.
    Waiting {
        /// The number of jobs that are delivered before it if no other job is published.
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
    /// The key of the job: the hash of the song for the default model.
    pub hash: SongHash,
    /// Why it was given up.
    pub reason: FailureReason,
    /// The number of attempts.
    pub attempts: u32,
}

/// A job that the queue gave up by itself. It is already a dead letter; its songs still have to be marked as failed.
///
/// ```
/// use vocalizer_core::ports::{Backend, JobQueue};
///
/// /// Fails the songs whose workers crashed each time.
/// async fn fail_given_up(queue: &dyn JobQueue, backend: &dyn Backend) -> Result<(), Box<dyn std::error::Error>> {
///     while let Some(given_up) = queue.given_up().await? {
///         let letter = given_up.letter();
///         backend.fail(&letter.hash, &letter.reason).await?;
///         given_up.file().await?;
///     }
///     Ok(())
/// }
/// ```
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
