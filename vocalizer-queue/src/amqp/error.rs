//! What can go wrong with a broker, in words for those who run one.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapin::ErrorKind;
use thiserror::Error;
use vocalizer_core::ports::QueueError;

use super::settings::AmqpQueueKind;

/// What caused an error. Shared, because everybody who waits for a connection hears why there is none.
type Cause = Arc<dyn Error + Send + Sync>;

/// Reply codes of the protocol.
mod code {
    pub(super) const CONTENT_TOO_LARGE: u16 = 311;
    pub(super) const ACCESS_REFUSED: u16 = 403;
    pub(super) const NOT_FOUND: u16 = 404;
    pub(super) const PRECONDITION_FAILED: u16 = 406;
    pub(super) const NOT_ALLOWED: u16 = 530;
}

/// Why a broker does not do what is asked of it. None of these texts holds a password.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AmqpError {
    /// The address of the broker is none.
    #[error("this is no address of a broker, neither host:port nor amqp(s)://user:password@host:port/vhost: {0}")]
    Address(&'static str),
    /// A setting makes no sense.
    #[error("the settings of the broker make no sense: {0}")]
    Settings(&'static str),
    /// The file with the certificates to be trusted cannot be read.
    #[error("the certificates in {} cannot be read", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// Nobody answers there, or not in time, or not as a broker does.
    #[error("the broker at {at} cannot be reached")]
    Unreachable {
        /// Host and port.
        at: String,
        /// Why.
        source: Cause,
    },
    /// The user name or the password is wrong.
    #[error("the broker refuses the user name or the password")]
    Credentials {
        /// What it said.
        source: Cause,
    },
    /// There is no such virtual host, or the user may not enter it.
    #[error("the broker does not let this user into the virtual host {vhost:?}, if it has one of that name")]
    VirtualHost {
        /// Its name.
        vhost: String,
        /// What the broker said.
        source: Cause,
    },
    /// The user may not do this.
    #[error("the broker does not permit its user this")]
    Permission {
        /// What the broker said.
        source: Cause,
    },
    /// The queue is there, and was declared in another way.
    #[error(
        "the queue was declared in another way than BROKER_QUEUE={asked} would; BROKER_QUEUE={fits} takes it as it is"
    )]
    Declared {
        /// Which kind was asked for.
        asked: AmqpQueueKind,
        /// Which kind would do.
        fits: String,
        /// What the broker said.
        source: Cause,
    },
    /// The queue, or another that goes with it, is not there.
    #[error("a queue is missing at the broker")]
    Missing {
        /// What the broker said.
        source: Cause,
    },
    /// The message is more than the broker takes, which is less than what this program was told.
    #[error("the message is larger than the broker takes; BROKER_MAX_MESSAGE_BYTES is to say how much that is")]
    TooLargeForBroker {
        /// What the broker said.
        source: Cause,
    },
    /// The broker takes no messages for now.
    #[error("the broker takes no messages for now, since it is short of disk or of memory")]
    Blocked,
    /// No queue took the message.
    #[error("the broker had no queue for the message")]
    Returned,
    /// The broker could not keep the message: the queue is full, or its disk failed.
    #[error("the broker did not take the message")]
    NotTaken,
    /// The broker did not answer in time.
    #[error("the broker did not answer within {} s", after.as_secs_f32())]
    Silent {
        /// How long it was waited for.
        after: Duration,
    },
    /// A job names its song and brings it not along, which is of no use to a worker elsewhere.
    #[error("a job for a broker brings its song along or says where it is")]
    Stored,
    /// The connection, or a channel of it, has ended.
    #[error("the connection to the broker was lost")]
    Lost {
        /// Why.
        source: Cause,
    },
}

impl AmqpError {
    /// What came back while connecting.
    pub(super) fn connecting(error: lapin::Error, at: &str, vhost: &str) -> Self {
        match reply_code(&error) {
            Some(code::ACCESS_REFUSED) => Self::Credentials { source: Arc::new(error) },
            Some(code::NOT_ALLOWED) => Self::VirtualHost { vhost: vhost.to_owned(), source: Arc::new(error) },
            _ => Self::Unreachable { at: at.to_owned(), source: Arc::new(error) },
        }
    }

    /// What came back while queues were declared.
    pub(super) fn declaring(error: lapin::Error, asked: AmqpQueueKind) -> Self {
        match reply_code(&error) {
            Some(code::PRECONDITION_FAILED) => {
                Self::Declared { asked, fits: "existing".to_owned(), source: Arc::new(error) }
            }
            _ => error.into(),
        }
    }

    /// The same, when another kind has turned out to fit as well.
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
            Some(code::PRECONDITION_FAILED) if source.to_string().contains("message size") => {
                Self::TooLargeForBroker { source }
            }
            Some(code::CONTENT_TOO_LARGE) => Self::TooLargeForBroker { source },
            _ => Self::Lost { source },
        }
    }
}

impl From<AmqpError> for QueueError {
    fn from(error: AmqpError) -> Self {
        Self::Unavailable(error.into())
    }
}
