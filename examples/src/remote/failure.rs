//! Failures and their exit codes.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_client::ErrorCode;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Server = 3,
    Credentials = 4,
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Client(#[from] vocalizer_client::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotLoggedIn(&'static str),
    #[error("{0}")]
    Check(String),
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot read the password from the terminal; use --password-stdin to read it from standard input")]
    Password(#[source] io::Error),
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
    /// Some of several actions failed; each error has been reported.
    #[error("{failed} of {all} failed")]
    Some { failed: usize, all: usize },
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Client(vocalizer_client::Error::Address { .. }) => Exit::Usage,
            Self::NotLoggedIn(_) => Exit::Credentials,
            Self::Client(error) if error.has_code(ErrorCode::Unauthenticated) => Exit::Credentials,
            Self::Client(error) if error.is_transient() && !error.has_code(ErrorCode::NotReady) => Exit::Server,
            _ => Exit::Failed,
        }
    }
}
