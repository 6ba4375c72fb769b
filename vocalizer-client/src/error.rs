//! The client's errors.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
pub use vocalizer_api::causes::BoxError;
use vocalizer_api::id::SongId;
use vocalizer_api::{ApiError, ErrorCode};

/// An error of a call.
///
/// ```
/// use vocalizer_client::{Error, ErrorCode};
///
/// /// Returns what a user can do after a failed upload.
/// fn advice(error: &Error) -> &'static str {
///     match error {
///         Error::TooLarge { .. } => "choose a shorter song",
///         error if error.has_code(ErrorCode::QuotaExceeded) => "delete songs first",
///         error if error.is_transient() => "try again later",
///         _ => "ask the server's operator",
///     }
/// }
/// # assert_eq!(advice(&Error::TimedOut), "try again later");
/// # assert_eq!(advice(&Error::TooLarge { size_bytes: 2, max_bytes: 1 }), "choose a shorter song");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address is invalid. The error does not contain it, since it may contain a password.
    #[error("invalid server address: {reason}")]
    Address {
        /// The problem.
        reason: &'static str,
    },
    /// The client cannot be created, for example because the system has no root certificates.
    #[error("client setup failed")]
    Setup(#[source] BoxError),
    /// The server responded with an error.
    #[error("the server rejected the request with status {status}{}", listed(errors))]
    #[non_exhaustive]
    Api {
        /// The HTTP status.
        status: u16,
        /// The server's errors; may be empty.
        errors: Vec<ApiError>,
        /// The server's `Retry-After`, if any.
        retry_after: Option<Duration>,
        /// The request's identifier in the server's log, if it sent one.
        request_id: Option<String>,
    },
    /// The response has an unexpected content type, for example the error page of a proxy.
    #[error("unexpected response with status {status}: expected {expected}, got content type {found:?}")]
    #[non_exhaustive]
    WrongType {
        /// The HTTP status.
        status: u16,
        /// The expected type.
        expected: &'static str,
        /// The actual `Content-Type`; empty if missing.
        found: String,
        /// The server's `Retry-After`, if any.
        retry_after: Option<Duration>,
        /// The request's identifier in the server's log, if it sent one.
        request_id: Option<String>,
    },
    /// The response has the right content type but invalid content.
    #[error("malformed response with status {status}")]
    #[non_exhaustive]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// The request's identifier in the server's log, if it sent one.
        request_id: Option<String>,
        /// The problem.
        #[source]
        source: BoxError,
    },
    /// The response is larger than allowed.
    #[error("the response is larger than {max_bytes} bytes")]
    Limit {
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// The server did not respond in time, or an upload or a download stalled.
    #[error("request timed out")]
    TimedOut,
    /// The connection failed.
    #[error("the connection to the server failed")]
    Transport(#[source] BoxError),
    /// The stream of an upload failed.
    #[error("the source of the upload failed")]
    Source(#[source] io::Error),
    /// The song is larger than the server accepts. Found before anything is sent, if the size is known.
    #[error("the song has {size_bytes} bytes; the server accepts at most {max_bytes}")]
    TooLarge {
        /// The song's size.
        size_bytes: u64,
        /// The server's limit.
        max_bytes: u64,
    },
    /// An interrupted download cannot be resumed, because the file changed on the server.
    #[error("the file changed on the server during the download")]
    Changed,
    /// A local file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Splitting the song failed.
    #[error("the song could not be split: {reason}")]
    NotSplit {
        /// The server's reason.
        reason: String,
    },
}

impl Error {
    /// Returns whether the same call may succeed later.
    ///
    /// ```
    /// use vocalizer_client::Error;
    ///
    /// assert!(Error::TimedOut.is_transient());
    /// assert!(!Error::TooLarge { size_bytes: 80_000_000, max_bytes: 75_000_000 }.is_transient());
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::Transport(_) | Self::Changed => true,
            Self::Api { status: 429 | 502 | 503 | 504, .. } => true,
            Self::Api { .. } => self.has_code(ErrorCode::NotReady),
            Self::WrongType { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Returns the server's `Retry-After`, if it was in seconds.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use vocalizer_client::{Client, Error, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let song = loop {
    ///     match client.rename(id, "Clair de lune").await {
    ///         Err(error) if error.is_transient() => {
    ///             tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(5))).await;
    ///         }
    ///         result => break result?,
    ///     }
    /// };
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { retry_after, .. } | Self::WrongType { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns the codes of the server's errors; none if it did not respond with errors.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use vocalizer_client::{Error, ErrorCode};
    ///
    /// /// Counts errors by code.
    /// fn count(error: &Error, counts: &mut HashMap<ErrorCode, u64>) {
    ///     for code in error.codes() {
    ///         *counts.entry(code).or_default() += 1;
    ///     }
    /// }
    /// # let mut counts = HashMap::new();
    /// # count(&Error::TimedOut, &mut counts);
    /// # assert!(counts.is_empty());
    /// ```
    pub fn codes(&self) -> impl Iterator<Item = ErrorCode> {
        let errors = if let Self::Api { errors, .. } = self { &errors[..] } else { &[] };
        errors.iter().map(|error| error.code)
    }

    /// Returns the song that the user has already, if an upload
    /// [refused a duplicate](crate::Upload::refusing_duplicates).
    #[must_use]
    pub fn duplicate(&self) -> Option<SongId> {
        let Self::Api { errors, .. } = self else { return None };
        errors.iter().find(|error| error.code == ErrorCode::Duplicate)?.song_id
    }

    /// Returns whether the server's errors contain this code.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, ErrorCode, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// match client.peaks(id, Part::Vocals).await {
    ///     Ok(peaks) => println!("{} values", peaks.values.len()),
    ///     Err(error) if error.has_code(ErrorCode::NotReady) => println!("not split yet"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn has_code(&self, code: ErrorCode) -> bool {
        self.codes().any(|found| found == code)
    }

    /// Returns the request's identifier in the server's log, for its operator.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// if let Err(error) = client.delete(id).await {
    ///     eprintln!("{error}; the request is {} in the server's log", error.request_id().unwrap_or("unknown"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api { request_id, .. } | Self::WrongType { request_id, .. } | Self::Malformed { request_id, .. } => {
                request_id.as_deref()
            }
            _ => None,
        }
    }

    /// Converts an error of the HTTP library. Not a `From`, which would expose the library in the public API.
    pub(crate) fn from_reqwest(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Transport(error.without_url().into()) }
    }

    /// Creates an error for an invalid response.
    pub(crate) fn malformed(status: u16, why: impl Into<BoxError>) -> Self {
        Self::Malformed { status, request_id: None, source: why.into() }
    }
}

/// Joins the messages in one line. Control characters are removed to protect terminals.
fn listed(errors: &[ApiError]) -> String {
    let reasons = errors.iter().map(|error| error.message.replace(char::is_control, " "));
    reasons.enumerate().map(|(index, reason)| format!("{} {reason}", if index == 0 { ":" } else { ";" })).collect()
}
