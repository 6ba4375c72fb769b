//! What a worker says to the backend, and what its answers mean.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error as ThisError;
use tokio::time::sleep;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{BackendError, BoxError};

use crate::{Client, Error};

/// The backend does not know the worker.
#[derive(Debug, ThisError)]
#[error("the backend does not take this worker's token; give it one of those that the backend has")]
struct Unknown(#[source] Error);

impl Client {
    /// A report of a worker, ready to be sent.
    pub(super) fn report(&self, path: &str, fields: Option<&Value>) -> Result<reqwest::RequestBuilder, Error> {
        let request = self.request(Method::POST, path)?;
        Ok(match fields {
            None => request,
            Some(fields) => request.header(CONTENT_TYPE, "application/json").body(fields.to_string()),
        })
    }

    /// Reports what may be said twice, again where that may help.
    pub(super) async fn report_again<T>(&self, path: &str, fields: Option<&Value>) -> Result<T, Error>
    where
        T: DeserializeOwned,
    {
        let mut retry = self.retries();
        loop {
            let error = match self.call(self.report(path, fields)?).await {
                Ok(data) => return Ok(data),
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            sleep(pause).await;
        }
    }
}

/// The status of the answer that an error is about.
pub(super) const fn status(error: &Error) -> Option<u16> {
    match error {
        Error::Api { status, .. } | Error::WrongType { status, .. } => Some(*status),
        _ => None,
    }
}

/// Whether the backend itself, and not a proxy before it, says that the song is not there.
pub(super) const fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Api { status: 404 | 410, .. })
}

/// Whether there is nothing at the address that takes reports.
pub(super) const fn is_unheard_of(error: &Error) -> bool {
    matches!(status(error), Some(404 | 405))
}

/// Whether the backend says that the song was deleted.
pub(super) const fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api { status: 410, .. })
}

/// Why something did not work, for those who read logs.
pub(super) fn cause(error: Error) -> BoxError {
    match status(&error) {
        Some(401 | 403) => Unknown(error).into(),
        _ => error.into(),
    }
}

/// What an answer means to a worker. It refuses where it is about this song or this result; what would be the same for
/// any other, such as a token or an address that is not right, must not cost songs their attempts.
pub(super) fn failed(error: Error) -> BackendError {
    match status(&error) {
        Some(400 | 409 | 413 | 415 | 422) => BackendError::Refused { why: chain(&error) },
        _ => BackendError::Unavailable(cause(error)),
    }
}
