//! Settings of the broker and its queue.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::address::Address;
use super::error::AmqpError;
use super::kind::AmqpQueueKind;

/// Maximum length of the queue name; derived names must fit AMQP's 255 bytes.
const MAX_NAME_BYTES: usize = 200;

/// Maximum lease duration. A larger value is probably in the wrong unit.
const MAX_VISIBILITY: Duration = Duration::from_secs(24 * 60 * 60);

impl FromStr for AmqpQueueKind {
    type Err = AmqpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "quorum" => Ok(Self::Quorum),
            "classic" => Ok(Self::Classic),
            "existing" => Ok(Self::Existing),
            _ => Err(AmqpError::Settings("unknown queue kind; use quorum, classic or existing")),
        }
    }
}

/// Settings of a broker. `Debug` shows no password.
///
/// ```
/// use vocalizer_queue::{AmqpQueue, AmqpQueueKind, AmqpSettings};
///
/// # fn main() -> Result<(), vocalizer_queue::AmqpError> {
/// let settings = AmqpSettings::new("amqp://worker:secret@broker:5672")?.with_kind(AmqpQueueKind::Classic);
/// assert!(!format!("{settings:?}").contains("secret"));
/// // The broker need not be running yet: the queue connects on first use.
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
    /// Settings for the broker at `address`: `host:port`, or `amqp://user:password@host:port/vhost`, or the same with
    /// `amqps`. Defaults for missing parts: port 5672 (5671 with TLS), user and password `guest`, virtual host `/`.
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

    /// Sets the queue name. Default: `vocalizer_queue`. The names of the helper queues begin with it.
    #[must_use]
    pub fn with_queue(self, queue: &str) -> Self {
        Self { queue: queue.to_owned(), ..self }
    }

    /// Sets the kind of the queue. Default: quorum.
    #[must_use]
    pub fn with_kind(self, kind: AmqpQueueKind) -> Self {
        Self { kind, ..self }
    }

    /// Sets the largest song to send inside a message: at most the broker's `max_message_size`. Default: 16 MiB,
    /// RabbitMQ's default since version 4.0.
    #[must_use]
    pub fn with_max_message_bytes(self, max_message_bytes: u64) -> Self {
        Self { max_message_bytes, ..self }
    }

    /// Sets the lease duration; each extension grants it again. Default: 60 s.
    #[must_use]
    pub fn with_visibility(self, visibility: Duration) -> Self {
        Self { visibility, ..self }
    }

    /// Sets the broker's `consumer_timeout`, or a lower value: the broker redelivers a job held for longer. Default: 30
    /// min, as in RabbitMQ. Jobs held for longer than half of it move to their own queue.
    #[must_use]
    pub fn with_consumer_timeout(self, consumer_timeout: Duration) -> Self {
        Self { consumer_timeout, ..self }
    }

    /// Sets the timeout for connecting. Default: 10 s.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets the timeout for each broker response. Default: 30 s.
    #[must_use]
    pub fn with_confirm_timeout(self, confirm_timeout: Duration) -> Self {
        Self { confirm_timeout, ..self }
    }

    /// Sets a PEM file with certificates to trust for `amqps`, in addition to those of the system.
    #[must_use]
    pub fn with_ca_file(self, ca_file: &Path) -> Self {
        Self { ca_file: Some(ca_file.to_owned()), ..self }
    }

    /// Validates the settings.
    pub(super) fn check(&self) -> Result<(), AmqpError> {
        let complaints = [
            (self.queue.is_empty(), "the queue name is empty"),
            (self.queue.len() > MAX_NAME_BYTES, "the queue name is longer than 200 bytes"),
            (self.queue.starts_with("amq."), "queue names that begin with \"amq.\" are reserved"),
            (self.max_message_bytes == 0, "the maximum message size is 0 bytes"),
            (self.visibility.is_zero(), "the lease duration is 0"),
            (self.visibility > MAX_VISIBILITY, "the lease duration exceeds one day"),
            // Ensures that a lease extended in time also moves to its guard queue in time.
            (self.visibility > self.consumer_timeout / 2, "the lease duration exceeds half of the consumer timeout"),
            (self.connect_timeout.is_zero() || self.confirm_timeout.is_zero(), "a connect or confirm timeout is 0"),
        ];
        complaints.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(AmqpError::Settings(why)))
    }
}
