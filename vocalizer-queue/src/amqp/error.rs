//! Broker errors, in words for operators.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapin::ErrorKind;
use thiserror::Error;
use vocalizer_core::ports::QueueError;

use super::kind::AmqpQueueKind;
use crate::finish::Interrupted;

/// The cause of an error. Shared, because all callers waiting for a connection receive it.
type Cause = Arc<dyn Error + Send + Sync>;

/// AMQP reply codes.
mod code {
    pub(super) const CONTENT_TOO_LARGE: u16 = 311;
    pub(super) const ACCESS_REFUSED: u16 = 403;
    pub(super) const NOT_FOUND: u16 = 404;
    pub(super) const PRECONDITION_FAILED: u16 = 406;
    pub(super) const NOT_ALLOWED: u16 = 530;
}

/// An error of the broker or its settings. No message contains a password.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AmqpError {
    /// The broker address is invalid.
    #[error("invalid broker address (use host:port or amqp(s)://user:password@host:port/vhost): {0}")]
    Address(&'static str),
    /// A setting is invalid.
    #[error("invalid broker settings: {0}")]
    Settings(&'static str),
    /// The file with the trusted certificates cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// The connection failed: refused, timed out, or the peer is not a broker.
    #[error("the broker at {at} cannot be reached")]
    Unreachable {
        /// Host and port.
        at: String,
        /// The cause.
        source: Cause,
    },
    /// The user name or the password is wrong.
    #[error("the broker rejected the user name or password")]
    Credentials {
        /// The broker's reply.
        source: Cause,
    },
    /// The virtual host does not exist, or the user has no access to it.
    #[error("the virtual host {vhost:?} does not exist, or the broker user has no access to it")]
    VirtualHost {
        /// Its name.
        vhost: String,
        /// The broker's reply.
        source: Cause,
    },
    /// The user lacks a permission.
    #[error("the broker user lacks a permission; grant it with rabbitmqctl set_permissions")]
    Permission {
        /// The broker's reply.
        source: Cause,
    },
    /// The queue exists with different arguments.
    #[error("the queue exists with arguments that differ from BROKER_QUEUE={asked}; use BROKER_QUEUE={fits}")]
    Declared {
        /// The configured kind.
        asked: AmqpQueueKind,
        /// The kind that matches.
        fits: String,
        /// The broker's reply.
        source: Cause,
    },
    /// The queue, or one of its helper queues, does not exist.
    #[error("a queue does not exist at the broker")]
    Missing {
        /// The broker's reply.
        source: Cause,
    },
    /// The message exceeds the broker's limit, which is below the configured one.
    #[error("the message exceeds the broker's limit; set BROKER_MAX_MESSAGE_BYTES to the broker's max_message_size")]
    TooLargeForBroker {
        /// The broker's reply.
        source: Cause,
    },
    /// The broker has blocked publishing for now.
    #[error("the broker blocks publishing because it is low on disk space or memory")]
    Blocked,
    /// The message was returned because no queue accepts it.
    #[error("the broker returned the message because its queue does not exist")]
    Returned,
    /// The broker could not store the message: the queue is full, or its disk failed.
    #[error("the broker rejected the message")]
    NotTaken,
    /// The broker did not respond in time.
    #[error("no response from the broker within {} s", after.as_secs_f32())]
    Silent {
        /// The timeout.
        after: Duration,
    },
    /// The payload is [`JobPayload::Stored`](vocalizer_core::ports::JobPayload::Stored), which remote workers cannot
    /// use.
    #[error("a job for a broker must contain the song or its download location")]
    Stored,
    /// The connection or one of its channels was closed.
    #[error("broker connection lost")]
    Lost {
        /// The cause.
        source: Cause,
    },
}

impl AmqpError {
    /// Converts an error from connecting.
    pub(super) fn connecting(error: lapin::Error, at: &str, vhost: &str) -> Self {
        match reply_code(&error) {
            Some(code::ACCESS_REFUSED) => Self::Credentials { source: Arc::new(error) },
            Some(code::NOT_ALLOWED) => Self::VirtualHost { vhost: vhost.to_owned(), source: Arc::new(error) },
            _ => Self::Unreachable { at: at.to_owned(), source: Arc::new(error) },
        }
    }

    /// Converts an error from declaring a queue.
    pub(super) fn declaring(error: lapin::Error, asked: AmqpQueueKind) -> Self {
        match reply_code(&error) {
            Some(code::PRECONDITION_FAILED) => {
                Self::Declared { asked, fits: "existing".to_owned(), source: Arc::new(error) }
            }
            _ => error.into(),
        }
    }

    /// Converts an error from publishing. The size of the message is its only precondition.
    pub(super) fn publishing(error: lapin::Error) -> Self {
        match reply_code(&error) {
            Some(code::PRECONDITION_FAILED) => Self::TooLargeForBroker { source: Arc::new(error) },
            _ => error.into(),
        }
    }

    /// Names another kind that matches as well.
    pub(super) fn fitting(mut self, kind: AmqpQueueKind) -> Self {
        if let Self::Declared { fits, .. } = &mut self {
            *fits = format!("{kind} or BROKER_QUEUE=existing");
        }
        self
    }

    pub(super) fn unreachable(at: &str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreachable { at: at.to_owned(), source: cause.into().into() }
    }

    pub(super) fn lost(cause: &'static str) -> Self {
        Self::Lost { source: Box::<dyn Error + Send + Sync>::from(cause).into() }
    }
}

fn reply_code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        let code = reply_code(&error);
        let source: Cause = Arc::new(error);
        match code {
            Some(code::ACCESS_REFUSED) => Self::Permission { source },
            Some(code::NOT_FOUND) => Self::Missing { source },
            Some(code::CONTENT_TOO_LARGE) => Self::TooLargeForBroker { source },
            _ => Self::Lost { source },
        }
    }
}

impl From<Interrupted> for AmqpError {
    fn from(error: Interrupted) -> Self {
        Self::Lost { source: Arc::new(error) }
    }
}

impl From<AmqpError> for QueueError {
    fn from(error: AmqpError) -> Self {
        Self::Unavailable(error.into())
    }
}
