//! What can go wrong in a use case.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::ports::{
    AudioError, BackendError, BlobError, BoxError, PasswordError, QueueError, RepositoryError, ResultError,
};
use crate::quota::Exceeded;

/// A value that cannot be accepted, and the form field it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, in a sentence for people.
    pub message: String,
}

/// Why a use case did not succeed. What it prints is fit for the caller; the sources are for the log alone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// There is no such song or token, as far as the caller may know.
    #[error("there is no such {what}")]
    NotFound {
        /// What there is none of.
        what: &'static str,
    },
    /// It was there and was deleted.
    #[error("the song was deleted")]
    Gone,
    /// Values that cannot be accepted.
    #[error("{}", listed(.0))]
    Invalid(Vec<Invalid>),
    /// The file is larger than the limit.
    #[error("the file has more than the {max_bytes} bytes that are allowed")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The file is not a song that can be split.
    #[error("this is not a song that can be split: {what}")]
    NotASong {
        /// Why not.
        what: String,
    },
    /// The stems are not there yet.
    #[error("the song is not split yet")]
    NotReady {
        /// When to ask again.
        retry_after: Duration,
    },
    /// There are no stems and there will be none, unless somebody retries.
    #[error("the song could not be split: {reason}")]
    NotSplit {
        /// Why.
        reason: String,
    },
    /// It clashes with what is there.
    #[error("{message}")]
    Conflict {
        /// How.
        message: &'static str,
        /// The form field it is about, where it is about one.
        field: Option<&'static str>,
    },
    /// Name and password, or the token, are not right.
    #[error("{message}")]
    Unauthenticated {
        /// In a sentence for people; never which of the two was wrong.
        message: &'static str,
    },
    /// Too many attempts.
    #[error("there were too many attempts; try again in {} s", whole_seconds(*retry_after))]
    Throttled {
        /// When the next one may be made.
        retry_after: Duration,
    },
    /// A limit of the uploader.
    #[error(transparent)]
    Exceeded(Exceeded),
    /// Nobody may register here.
    #[error("registration is closed on this server")]
    RegistrationClosed,
    /// Only those may register who have an invite.
    #[error("an invite is needed to register; ask the server's operator for one")]
    InviteRequired,
    /// The invite is not good.
    #[error("the invite is unknown, used or expired; ask the server's operator for another")]
    InviteInvalid,
    /// What was being sent stopped coming; the source is whatever its reader said.
    #[error("the request did not come in whole")]
    Interrupted(#[source] BoxError),
    /// Too much is being made, or this takes too long.
    #[error("{what}")]
    Busy {
        /// What there is too much of, in a sentence for people.
        what: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// There is no room left.
    #[error("the server has too little free disk space; try again when its operator has made room")]
    Full,
    /// Something behind the service does not answer.
    #[error("the server cannot do this at the moment")]
    Unavailable(#[source] BoxError),
    /// The server's own fault.
    #[error("something went wrong in the server")]
    Internal(#[source] BoxError),
}

impl ServiceError {
    pub(super) const NO_SONG: Self = Self::NotFound { what: "song" };

    pub(super) fn invalid(field: &'static str, message: impl ToString) -> Self {
        Self::Invalid(vec![Invalid { field, message: message.to_string() }])
    }

    /// The same error for another one of those who waited for the same work.
    pub(super) fn again(self: Arc<Self>) -> Self {
        match &*self {
            Self::NotFound { what } => Self::NotFound { what },
            Self::NotASong { what } => Self::NotASong { what: what.clone() },
            Self::Busy { what, retry_after } => Self::Busy { what: what.clone(), retry_after: *retry_after },
            Self::Full => Self::Full,
            Self::Unavailable(_) => Self::Unavailable(self.into()),
            _ => Self::Internal(self.into()),
        }
    }
}

/// Rounded up, so that whoever waits as long has waited long enough.
#[must_use]
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

fn listed(invalid: &[Invalid]) -> String {
    invalid.iter().map(|invalid| invalid.message.as_str()).collect::<Vec<_>>().join("; ")
}

impl From<RepositoryError> for ServiceError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Conflict => Self::Conflict { message: "it has changed meanwhile", field: None },
            RepositoryError::Exceeded(exceeded) => Self::Exceeded(exceeded),
            RepositoryError::Unavailable(_) => Self::Unavailable(error.into()),
            RepositoryError::Corrupt(_) => Self::Internal(error.into()),
        }
    }
}

impl From<BlobError> for ServiceError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full => Self::Full,
            BlobError::Unavailable(_) => Self::Unavailable(error.into()),
            BlobError::Range { .. } | BlobError::Damaged => Self::Internal(error.into()),
        }
    }
}

impl From<QueueError> for ServiceError {
    fn from(error: QueueError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<AudioError> for ServiceError {
    fn from(error: AudioError) -> Self {
        match error {
            AudioError::Limit { .. } | AudioError::Malformed { .. } | AudioError::Unsupported { .. } => {
                Self::NotASong { what: error.to_string() }
            }
            AudioError::Full => Self::Full,
            AudioError::Failed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Malformed(_) => Self::Internal(error.into()),
            PasswordError::Failed(_) => Self::Unavailable(error.into()),
        }
    }
}

impl From<ResultError> for ServiceError {
    fn from(error: ResultError) -> Self {
        match error {
            ResultError::Limit { max_bytes, .. } => Self::TooLarge { max_bytes },
            ResultError::Malformed { .. } => Self::invalid("result", error),
            ResultError::Interrupted(source) => Self::Interrupted(source),
            ResultError::Blobs(error) => error.into(),
        }
    }
}

/// What a worker beside the service hears.
impl From<ServiceError> for BackendError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Full | ServiceError::Unavailable(_) | ServiceError::Internal(_) => {
                Self::Unavailable(error.into())
            }
            refused => Self::Refused { why: refused.to_string() },
        }
    }
}
