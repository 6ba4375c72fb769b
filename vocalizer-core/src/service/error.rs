//! Errors of the use cases.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::ports::{
    AudioError, BackendError, BlobError, BoxError, PasswordError, QueueError, RepositoryError, ResultError,
};
use crate::quota::Exceeded;
use crate::song::{SongId, TitleError};

/// An unacceptable value and its form field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The form field.
    pub field: &'static str,
    /// The problem, as a sentence for users.
    pub message: String,
}

/// Why a use case failed. The message is safe to show to the caller; the sources are for the log only.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The song or token does not exist, or the caller may not see it.
    #[error("{what} not found")]
    NotFound {
        /// What was not found.
        what: &'static str,
    },
    /// The song existed and was deleted.
    #[error("the song was deleted or cancelled")]
    Gone,
    /// Unacceptable values.
    #[error("{}", listed(.0))]
    Invalid(Vec<Invalid>),
    /// The file exceeds the size limit.
    #[error("file too large: at most {max_bytes} bytes are allowed")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The file is not audio that can be split.
    #[error("this file cannot be split: {what}")]
    NotASong {
        /// The reason.
        what: String,
    },
    /// The stems are not ready yet.
    #[error("the song is not split yet")]
    NotReady {
        /// When to retry.
        retry_after: Duration,
    },
    /// Splitting failed. There will be no stems unless the song is retried.
    #[error("the song could not be split: {reason}")]
    NotSplit {
        /// The reason.
        reason: String,
    },
    /// A conflict with the current state.
    #[error("{message}")]
    Conflict {
        /// The conflict, as a sentence for users.
        message: &'static str,
        /// The form field at fault, if any.
        field: Option<&'static str>,
    },
    /// The caller has a song with the same bytes, and the upload [refuses](super::SongUpload::refusing_duplicates) another.
    #[error("you have this song already")]
    Duplicate {
        /// The song.
        song: SongId,
    },
    /// The username and password or the token are invalid.
    #[error("{message}")]
    Unauthenticated {
        /// A sentence for users. Never says which of the two was wrong.
        message: &'static str,
    },
    /// An operator has disabled the account.
    #[error("the account is disabled; ask the server's operator")]
    Disabled,
    /// The caller is no administrator, or uses an API token.
    #[error("only an administrator may do this, and not with an API token")]
    Forbidden,
    /// This way to sign in is not open to the caller, or not to anyone on this server.
    #[error("{message}")]
    SignInRefused {
        /// The reason and the remedy, as a sentence for users.
        message: &'static str,
    },
    /// The identity provider is unavailable.
    #[error("the sign-in provider is unavailable; try again later")]
    ProviderUnavailable(#[source] BoxError),
    /// The identity provider does not accept this server.
    #[error(
        "the sign-in provider does not accept this server's client ID or secret; ask the server's operator to correct them"
    )]
    RefusedByProvider(#[source] BoxError),
    /// Too many attempts.
    #[error("too many attempts; try again in {} s", whole_seconds(*retry_after))]
    Throttled {
        /// When the next attempt is allowed.
        retry_after: Duration,
    },
    /// A quota of the uploader is exceeded.
    #[error(transparent)]
    Exceeded(Exceeded),
    /// Registration is closed.
    #[error("registration is closed on this server")]
    RegistrationClosed,
    /// Registration requires an invite.
    #[error("registration requires an invite; ask the server's operator for one")]
    InviteRequired,
    /// The invite is invalid.
    #[error("the invite is unknown, used or expired; ask the server's operator for another")]
    InviteInvalid,
    /// The request body ended early. The source is the reader's error.
    #[error("the request body is incomplete")]
    Interrupted(#[source] BoxError),
    /// Too many renditions are in progress, or one timed out.
    #[error("{what}")]
    Busy {
        /// What is busy, as a sentence for users.
        what: String,
        /// When to retry.
        retry_after: Duration,
    },
    /// The disk is full.
    #[error("the server has too little free disk space; try again later")]
    Full,
    /// A dependency of the service is unavailable.
    #[error("the service is temporarily unavailable; try again later")]
    Unavailable(#[source] BoxError),
    /// An internal error.
    #[error("internal server error")]
    Internal(#[source] BoxError),
}

impl ServiceError {
    pub(super) const NO_SONG: Self = Self::NotFound { what: "song" };

    pub(super) fn invalid(field: &'static str, message: impl ToString) -> Self {
        Self::Invalid(vec![Invalid { field, message: message.to_string() }])
    }

    /// Returns the error of a name in a form field, which follows the rules of titles.
    pub(super) fn invalid_name(field: &'static str, error: TitleError) -> Self {
        Self::invalid(
            field,
            match error {
                TitleError::Empty => format!("{field} must not be empty"),
                TitleError::TooLong { max_chars, found_chars } => {
                    format!("{field} has {found_chars} characters; at most {max_chars} are allowed")
                }
                TitleError::Control { at_char } => {
                    format!("{field} contains a control character at position {at_char}")
                }
            },
        )
    }

    /// Returns a copy of the error for another caller that waited for the same work.
    pub(super) fn duplicate(self: Arc<Self>) -> Self {
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

/// Returns whole seconds, rounded up so that waiting this long is always enough.
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
            RepositoryError::Conflict => {
                Self::Conflict { message: "it was changed by another request; try again", field: None }
            }
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

/// The error that an in-process worker receives.
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
