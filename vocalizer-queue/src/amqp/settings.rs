//! Where the broker is and how it is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::address::Address;
use super::error::AmqpError;

/// Longest queue name, so that the names made of it fit the protocol's 255 bytes.
const MAX_NAME_BYTES: usize = 200;

/// Longest lease. Whoever asks for more has mistaken the unit.
const MAX_VISIBILITY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the queue at the broker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmqpQueueKind {
    /// A quorum queue, declared by us: replicated, and the broker itself counts how often a job took its worker along.
    #[default]
    Quorum,
    /// A durable classic queue without any arguments, declared by us or by the original's backend and workers.
    Classic,
    /// Whatever is there, declared by somebody else.
    Existing,
}

impl fmt::Display for AmqpQueueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
            Self::Existing => "existing",
        })
    }
}

impl FromStr for AmqpQueueKind {
    type Err = AmqpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "quorum" => Ok(Self::Quorum),
            "classic" => Ok(Self::Classic),
            "existing" => Ok(Self::Existing),
            _ => Err(AmqpError::Settings("a queue is quorum, classic or existing")),
        }
    }
}

/// How to get to a broker, and how to use it. `Debug` shows no password.
///
/// ```
/// use vocalizer_queue::{AmqpQueue, AmqpQueueKind, AmqpSettings};
///
/// # fn main() -> Result<(), vocalizer_queue::AmqpError> {
/// let settings = AmqpSettings::new("amqp://worker:secret@broker:5672")?.with_kind(AmqpQueueKind::Classic);
/// assert!(!format!("{settings:?}").contains("secret"));
/// // Nobody needs to be there yet: it connects when it is used.
/// let queue = AmqpQueue::new(settings)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AmqpSettings {
    pub(super) address: Address,
    pub(super) queue: String,
    pub(super) kind: AmqpQueueKind,
    pub(super) max_message_bytes: u64,
    pub(super) visibility: Duration,
    pub(super) consumer_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) confirm_timeout: Duration,
    pub(super) ca_file: Option<PathBuf>,
}

impl AmqpSettings {
    /// The broker at `address`: `host:port`, or `amqp://user:password@host:port/vhost`, or the same with `amqps`. What is
    /// left out is as RabbitMQ has it of itself: port 5672 (5671 with TLS), user and password `guest`, virtual host `/`.
    ///
    /// # Errors
    ///
    /// [`AmqpError::Address`].
    pub fn new(address: &str) -> Result<Self, AmqpError> {
        Ok(Self {
            address: Address::parse(address)?,
            queue: "vocalizer_queue".to_owned(),
            kind: AmqpQueueKind::default(),
            max_message_bytes: 16 << 20,
            visibility: Duration::from_secs(60),
            consumer_timeout: Duration::from_secs(30 * 60),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            ca_file: None,
        })
    }

    /// The queue's name. Default: `vocalizer_queue`. The names of the queues that go with it begin with this one.
    #[must_use]
    pub fn with_queue(self, queue: &str) -> Self {
        Self { queue: queue.to_owned(), ..self }
    }

    /// What the queue is. Default: a quorum queue.
    #[must_use]
    pub fn with_kind(self, kind: AmqpQueueKind) -> Self {
        Self { kind, ..self }
    }

    /// The largest song that a message may bring along: at most the broker's `max_message_size`. Default: 16 MiB, which
    /// is what RabbitMQ takes of itself from version 4.0 on.
    #[must_use]
    pub fn with_max_message_bytes(self, max_message_bytes: u64) -> Self {
        Self { max_message_bytes, ..self }
    }

    /// How long a lease holds, and again each time it is extended. Default: a minute.
    #[must_use]
    pub fn with_visibility(self, visibility: Duration) -> Self {
        Self { visibility, ..self }
    }

    /// The broker's `consumer_timeout`, or less: after this it takes a job away from its worker. Default: 30 minutes, as
    /// RabbitMQ has it. Jobs that take longer than half of it are kept by other means.
    #[must_use]
    pub fn with_consumer_timeout(self, consumer_timeout: Duration) -> Self {
        Self { consumer_timeout, ..self }
    }

    /// How long to wait for a connection. Default: 10 s.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long to wait for the broker to confirm something. Default: 30 s.
    #[must_use]
    pub fn with_confirm_timeout(self, confirm_timeout: Duration) -> Self {
        Self { confirm_timeout, ..self }
    }

    /// A PEM file with certificates to be trusted with `amqps`, beside those that the system trusts.
    #[must_use]
    pub fn with_ca_file(self, ca_file: &Path) -> Self {
        Self { ca_file: Some(ca_file.to_owned()), ..self }
    }

    /// Whether all this makes sense together.
    pub(super) fn check(&self) -> Result<(), AmqpError> {
        let complaints = [
            (self.queue.is_empty(), "the queue has no name"),
            (self.queue.len() > MAX_NAME_BYTES, "the queue's name is longer than 200 bytes"),
            (self.queue.starts_with("amq."), "names that begin with \"amq.\" are the broker's own"),
            (self.max_message_bytes == 0, "no message fits into 0 bytes"),
            (self.visibility.is_zero(), "a lease holds for some time"),
            (self.visibility > MAX_VISIBILITY, "a lease holds for a day at most"),
            // A lease that is extended in time is moved to a guard in time, too.
            (self.visibility > self.consumer_timeout / 2, "a lease holds at most half as long as the broker lets it"),
            (self.connect_timeout.is_zero() || self.confirm_timeout.is_zero(), "an answer takes some time"),
        ];
        complaints.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(AmqpError::Settings(why)))
    }
}
