//! What can go wrong between a client and a server.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use vocalizer_core::api::{ApiError, ErrorCode};
pub use vocalizer_core::ports::BoxError;

/// Why a call did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address is not one. It is not repeated here, since it may hold a password.
    #[error("the server's address is not usable: {reason}")]
    Address {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client cannot be set up, for want of the system's certificates for instance.
    #[error("the client cannot be set up")]
    Setup(#[source] BoxError),
    /// The server understood and refused.
    #[error("the server refused with status {status}{}", listed(errors))]
    #[non_exhaustive]
    Api {
        /// The HTTP status.
        status: u16,
        /// Why, in the server's words; a server may give no reason.
        errors: Vec<ApiError>,
        /// After how long the server wants to be asked again, where it says so.
        retry_after: Option<Duration>,
    },
    /// The answer is of a kind that Vocalizer servers do not give here: the page of a proxy, another program's answer.
    #[error("the server answered with status {status} and {found:?} where {expected} belongs")]
    #[non_exhaustive]
    WrongType {
        /// The HTTP status.
        status: u16,
        /// What should have come.
        expected: &'static str,
        /// The `Content-Type` that came; empty where none did.
        found: String,
        /// After how long the server wants to be asked again, where it says so.
        retry_after: Option<Duration>,
    },
    /// The answer is of the right kind and not what the contract says.
    #[error("the server's answer with status {status} cannot be understood")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The answer is longer than the client takes.
    #[error("the server's answer has more than {max_bytes} bytes")]
    Limit {
        /// The most it takes.
        max_bytes: u64,
    },
    /// The server did not answer in time, or an upload or a download stood still for too long.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The server could not be reached, or the connection broke; or the file being uploaded did.
    #[error("the connection to the server failed")]
    Transport(#[source] BoxError),
    /// A download broke, and what the server has is no longer what the first half came from.
    #[error("the file changed on the server while it was downloaded")]
    Changed,
    /// A file here could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The song could not be split, and says why.
    #[error("the song could not be split: {reason}")]
    NotSplit {
        /// The server's reason.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed a little later, without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::Transport(_) | Self::Changed => true,
            // 202 is what is not ready yet.
            Self::Api { status, .. } => matches!(status, 202 | 429 | 502 | 503 | 504),
            Self::WrongType { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// After how long the server wants to be asked again, where it says so in seconds.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { retry_after, .. } | Self::WrongType { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the server named this code as a reason.
    #[must_use]
    pub fn has_code(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Api { errors, .. } if errors.iter().any(|error| error.code == code))
    }

    /// What an error of the HTTP library means. No `From`, which would make that library part of what users see.
    pub(crate) fn sending(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Transport(error.without_url().into()) }
    }

    /// The answer with this status breaks the contract.
    pub(crate) fn malformed(status: u16, why: impl Into<BoxError>) -> Self {
        Self::Malformed { status, source: why.into() }
    }
}

/// The reasons in one line, without what could steer a terminal.
fn listed(errors: &[ApiError]) -> String {
    let reasons = errors.iter().map(|error| error.message.replace(char::is_control, " "));
    reasons.enumerate().map(|(index, reason)| format!("{} {reason}", if index == 0 { ":" } else { ";" })).collect()
}
