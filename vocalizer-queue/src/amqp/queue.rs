//! The queue itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex as Turn;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{DeadLetter, Depth, GivenUp, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

use super::broker::Broker;
use super::dead::dead_letters;
use super::error::AmqpError;
use super::given_up::next_given_up;
use super::lease::AmqpLease;
use super::settings::AmqpSettings;
use super::taking::take;
use super::topology::{count, dead_name, given_up_name, waiting_names};
use super::wire::{MAX_SOURCE_BYTES, Message};

/// A [`JobQueue`] at RabbitMQ, for any number of backends and workers, those of the original among them.
///
/// A message's body is the song and its `message_id` the song's hash. Clones are handles to the same two connections: one
/// publishes, the other takes and settles, so that a broker that is short of disk still hears of finished jobs. They are
/// made when they are needed and made anew when they are lost; while there are none, everything is
/// [`QueueError::Unavailable`], with an [`AmqpError`] that says why. What the port leaves open, this queue does so:
///
/// - Jobs come in the order of their publishing, and those that were handed back in that of the end of their delays. A
///   quorum queue gives a job whose worker died to the next at once, a classic one behind all others.
/// - Delays are rounded up to 1, 5 or 30 seconds, 2 or 10 minutes or an hour, which is the longest.
/// - A repeat is a second job. A settlement that is cut off after its first half may leave a second job, too, and a
///   classic queue whose broker dies may give jobs again that were settled just before.
/// - A message that is no job (its body is not the song that `message_id` names, say) becomes a dead letter.
/// - Dead letters stay when their jobs are published again. The newest 1,000 are kept, with their songs. To list them
///   is slow where songs are large, and hides them from others meanwhile.
/// - A quorum queue gives a job up by itself when its 21st worker has died at it, and one that a worker has refused. A
///   classic one does neither: workers that do not count get such a job for ever, and one that is refused is gone.
/// - Its `state` is always [`JobState::Unknown`]; its depth knows neither what is leased nor how old the oldest is.
/// - A lease that is not extended is given up by its own process; of a process that stands still the broker takes it
///   after its `consumer_timeout`. A job that is held for longer than half of that is moved to a queue of its own; if
///   its worker dies then, it comes again within half of that timeout.
/// - What a call has begun is finished when the call is dropped.
///
/// Must be used within a tokio runtime, with time and I/O.
#[derive(Clone)]
pub struct AmqpQueue {
    broker: Arc<Broker>,
    /// Held by the one who looks at the dead letters, for they are away meanwhile.
    looking: Arc<Turn<()>>,
}

impl AmqpQueue {
    /// A queue that connects when it is used. Nobody needs to be there yet.
    ///
    /// # Errors
    ///
    /// [`AmqpError::Settings`] for settings that make no sense, [`AmqpError::Certificates`] for a file that cannot be read.
    pub fn new(settings: AmqpSettings) -> Result<Self, AmqpError> {
        Ok(Self { broker: Arc::new(Broker::new(settings)?), looking: Arc::default() })
    }

    /// Connects, so that what is wrong with the settings or the broker is known before there is a job.
    ///
    /// # Errors
    ///
    /// [`AmqpError::Unreachable`], [`AmqpError::Credentials`], [`AmqpError::VirtualHost`], [`AmqpError::Permission`],
    /// [`AmqpError::Declared`], [`AmqpError::Missing`], [`AmqpError::Silent`] or [`AmqpError::Lost`].
    pub async fn check(&self) -> Result<(), AmqpError> {
        self.broker.check().await
    }

    fn name(&self) -> &str {
        &self.broker.settings.queue
    }
}

/// Tells where it is, without the password.
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
                tracing::warn!(hash = %job.hash, error = %chain(&error), "a song goes by claim");
                // How much it is the broker does not say.
                Err(QueueError::TooLarge { max_bytes: bytes - 1 })
            }
            sent => Ok(sent?),
        }
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(AmqpLease::new(take(&self.broker).await?)))
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
        let counted = lane.ask(counted).await.inspect_err(|error| self.broker.hear(&lane, error));
        let (waiting, dead) = counted?;
        Ok(Depth { waiting, leased: None, dead, oldest: None })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let _alone = self.looking.lock().await;
        Ok(dead_letters(&self.broker, limit as usize).await?)
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        let given_up = next_given_up(&self.broker).await?;
        Ok(given_up.map(|given_up| Box::new(given_up) as _))
    }
}
