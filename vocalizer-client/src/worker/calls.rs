//! Worker reports to the backend, and the meaning of its errors.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error as ThisError;
use vocalizer_api::causes::BoxError;
use vocalizer_api::causes::chain;
use vocalizer_core::ports::BackendError;

use crate::{Client, Error};

/// The backend rejected the worker token.
#[derive(Debug, ThisError)]
#[error("the backend rejected the worker token; set one of the backend's worker tokens")]
struct TokenRejected(#[source] Error);

impl Client {
    /// Builds a report.
    pub(super) fn report(&self, path: &str, fields: Option<&Value>) -> Result<reqwest::RequestBuilder, Error> {
        let request = self.request(Method::POST, path)?;
        Ok(match fields {
            None => request,
            Some(fields) => request.header(CONTENT_TYPE, "application/json").body(fields.to_string()),
        })
    }

    /// Sends a repeatable report, with retries.
    pub(super) async fn report_with_retries<T>(&self, path: &str, fields: Option<&Value>) -> Result<T, Error>
    where
        T: DeserializeOwned,
    {
        self.retrying(|| async { self.call(self.report(path, fields)?).await }).await
    }
}

/// Returns the status of the response behind an error.
pub(super) const fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Api { status, .. } | Error::WrongType { status, .. } => Some(*status),
        _ => None,
    }
}

/// Returns whether the backend itself, not a proxy, reports that the song does not exist.
pub(super) const fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Api { status: 404 | 410, .. })
}

/// Returns whether the server does not support reports.
pub(super) const fn is_unsupported(error: &Error) -> bool {
    matches!(status(error), Some(404 | 405))
}

/// Returns whether the backend reports that the song was deleted.
pub(super) const fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api { status: 410, .. })
}

/// Adds advice for the operator if the token was rejected.
pub(super) fn cause(error: Error) -> BoxError {
    match status(&error) {
        Some(401 | 403) => TokenRejected(error).into(),
        _ => error.into(),
    }
}

/// Converts an error. It is `Refused` if it concerns this song or this result. Other problems, such as a wrong token or
/// address, must not cost songs their attempts.
pub(super) fn backend_error(error: Error) -> BackendError {
    match status(&error) {
        Some(400 | 409 | 413 | 415 | 422) => BackendError::Refused { why: chain(&error) },
        _ => BackendError::Unavailable(cause(error)),
    }
}
