//! The [`AmqpQueue`] type.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;
use vocalizer_core::causes::chain;
use vocalizer_core::models::ModelName;
use vocalizer_core::ports::{DeadLetter, Depth, GivenUp, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

use super::broker::Broker;
use super::dead::dead_letters;
use super::error::AmqpError;
use super::given_up::next_given_up;
use super::lease::AmqpLease;
use super::settings::AmqpSettings;
use super::taking::{take, take_ready};
use super::topology::{consumers, count, dead_name, given_up_name, waiting_names};
use super::wire::{MAX_SOURCE_BYTES, Message};

/// A [`JobQueue`] in RabbitMQ, for any number of backends and workers, including those of the original Vocalizer.
///
/// The body of a message is the song; its `message_id` is the song's hash. Clones share two connections: one publishes,
/// the other consumes and settles, so that a broker that is low on disk space still receives acknowledgements. They are
/// opened on demand and reopened when lost. Without a connection, calls fail with [`QueueError::Unavailable`], which
/// contains an [`AmqpError`]. Where the port leaves a choice, this queue behaves as follows:
///
/// - Jobs arrive in the order of publishing; returned jobs are ordered by the end of their delay. A quorum queue
///   redelivers the job of a dead worker at once; a classic queue puts it behind all others.
/// - Delays are rounded up to 1, 5 or 30 seconds, 2 or 10 minutes, or 1 hour, which is the maximum.
/// - A job that arrives for a dropped lease call goes to the end of the queue.
/// - A repeat is a second job. A settlement that is interrupted halfway may also leave a second job, and a classic
///   queue may redeliver recently settled jobs after a broker crash.
/// - An invalid message (for example, a body that does not match its `message_id`) becomes a dead letter.
/// - Dead letters remain when their jobs are published again. The newest 1,000 are kept, with their songs. Listing
///   them is slow for large songs, and hides them from other callers meanwhile.
/// - A quorum queue gives a job up when its 21st worker dies, or when a worker rejects it. A classic queue does
///   neither: workers that count no attempts receive such a job without end, and a rejected job is lost.
/// - `state` is always [`JobState::Unknown`]; the depth contains neither leased jobs nor the age of the oldest job.
/// - The holding process returns a job whose lease expires. If that process hangs, the broker redelivers the job
///   after its `consumer_timeout`. A job held for longer than half of that is moved to its own queue; if its worker
///   dies then, it returns within half of that timeout.
/// - An operation that has started completes even if its future is dropped.
///
/// Requires a tokio runtime with time and I/O enabled.
#[derive(Clone)]
pub struct AmqpQueue {
    broker: Arc<Broker>,
    /// Held while dead letters are listed, because they are hidden meanwhile.
    listing: Arc<AsyncMutex<()>>,
}

impl AmqpQueue {
    /// Creates a queue that connects on first use; the broker need not be running yet.
    ///
    /// # Errors
    ///
    /// [`AmqpError::Settings`] for invalid settings, [`AmqpError::Certificates`] for an unreadable certificate file.
    pub fn new(settings: AmqpSettings) -> Result<Self, AmqpError> {
        Ok(Self { broker: Arc::new(Broker::new(settings)?), listing: Arc::default() })
    }

    /// Connects, to detect errors in the settings or the broker early.
    ///
    /// # Errors
    ///
    /// [`AmqpError::Unreachable`], [`AmqpError::Credentials`], [`AmqpError::VirtualHost`], [`AmqpError::Permission`],
    /// [`AmqpError::Declared`], [`AmqpError::Missing`], [`AmqpError::Silent`] or [`AmqpError::Lost`].
    pub async fn check(&self) -> Result<(), AmqpError> {
        self.broker.check().await
    }

    /// Returns the newest dead letters, at most `limit`, newest first. Publishing a
    /// job again keeps its dead letter, which the broker cannot look up.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let _guard = self.listing.lock().await;
        Ok(dead_letters(&self.broker, limit as usize).await?)
    }

    fn name(&self) -> &str {
        &self.broker.settings.queue
    }
}

/// Shows the address without credentials.
impl fmt::Debug for AmqpQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpQueue")
            .field("address", &self.broker.settings.address)
            .field("queue", &self.name())
            .field("kind", &self.broker.settings.kind)
            .finish()
    }
}

#[async_trait]
impl JobQueue for AmqpQueue {
    fn max_inline_bytes(&self) -> Option<u64> {
        Some(self.broker.settings.max_message_bytes)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        let (bytes, max_bytes) = match &job.payload {
            JobPayload::Inline(song) => (song.len() as u64, self.broker.settings.max_message_bytes),
            JobPayload::Claim(source) => (source.expose().len() as u64, MAX_SOURCE_BYTES as u64),
            _ => return Err(AmqpError::Stored.into()),
        };
        if bytes > max_bytes {
            return Err(QueueError::TooLarge { max_bytes });
        }
        match self.broker.publisher.send(self.name(), Message::of(&job, 0)?).await {
            Err(error @ AmqpError::TooLargeForBroker { .. }) if bytes > 0 => {
                tracing::warn!(
                    hash = %job.hash,
                    error = %chain(&error),
                    "song too large for the broker; publishing a claim check"
                );
                // The broker does not report its limit.
                Err(QueueError::TooLarge { max_bytes: bytes - 1 })
            }
            sent => Ok(sent?),
        }
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(AmqpLease::new(take(&self.broker).await?)))
    }

    async fn lease_ready(&self) -> Result<Option<Box<dyn Lease>>, QueueError> {
        let taken = take_ready(&self.broker).await?;
        Ok(taken.map(|held| Box::new(AmqpLease::new(held)) as _))
    }

    /// Of a queue for one model: whether a worker waits. A busy worker does not.
    async fn has_worker(&self, _: &ModelName) -> Result<Option<bool>, QueueError> {
        let lane = self.broker.lane().await?;
        let counted = lane.await_response(consumers(lane.channel(), self.name())).await;
        Ok(Some(counted.inspect_err(|error| self.broker.redeclare_if_missing(&lane, error))? > 0))
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let lane = self.broker.lane().await?;
        let counted = async {
            let mut waiting = 0;
            for name in waiting_names(self.name()) {
                waiting += count(lane.channel(), &name).await?;
            }
            let mut dead = 0;
            for name in [given_up_name(self.name()), dead_name(self.name())] {
                dead += count(lane.channel(), &name).await?;
            }
            Ok((waiting, dead))
        };
        let counted =
            lane.await_response(counted).await.inspect_err(|error| self.broker.redeclare_if_missing(&lane, error));
        let (waiting, dead) = counted?;
        Ok(Depth { waiting, leased: None, dead, oldest: None })
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        let given_up = next_given_up(&self.broker).await?;
        Ok(given_up.map(|given_up| Box::new(given_up) as _))
    }
}
