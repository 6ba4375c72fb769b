//! Parsing of untrusted responses.

use std::time::Duration;

use reqwest::{Response, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use vocalizer_api::Envelope;

use crate::Error;

/// Maximum length of an unexpected `Content-Type` in an error.
const EXCERPT_CHARS: usize = 80;

/// Maximum length of a request's identifier.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// Returns the `data` of a response in the envelope.
pub(crate) async fn data<T: DeserializeOwned>(response: Response, max_bytes: u64) -> Result<T, Error> {
    let status = response.status();
    let malformed = |request_id, source| Error::Malformed { status: status.as_u16(), request_id, source };
    if !is(&response, "application/json") {
        return Err(wrong_type(&response, "JSON"));
    }
    let (retry_after, request_id) = (retry_after(&response), request_id(&response));
    let body = limited(response, max_bytes).await?;
    let envelope: Envelope<T> = match serde_json::from_slice(&body) {
        Ok(envelope) => envelope,
        Err(error) => return Err(malformed(request_id, error.into())),
    };
    match envelope.into_result() {
        Err(errors) => Err(Error::Api { status: status.as_u16(), errors, retry_after, request_id }),
        Ok(_) if !status.is_success() => {
            Err(malformed(request_id, "the envelope reports success, but the status is an error".into()))
        }
        Ok(data) => Ok(data),
    }
}

/// Checks a response that has a body only if it is an error.
pub(crate) async fn nothing(response: Response, max_bytes: u64) -> Result<(), Error> {
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(());
    }
    data::<IgnoredAny>(response, max_bytes).await.map(drop)
}

/// Returns a text without an envelope, of one of these types. Errors have an envelope.
pub(crate) async fn text(response: Response, kinds: &[&'static str], max_bytes: u64) -> Result<String, Error> {
    let status = response.status();
    if !status.is_success() {
        return data::<IgnoredAny>(response, max_bytes).await.map(|_| String::new());
    }
    if !kinds.iter().any(|kind| is(&response, kind)) {
        return Err(wrong_type(&response, "text"));
    }
    String::from_utf8(limited(response, max_bytes).await?).map_err(|error| Error::malformed(status.as_u16(), error))
}

/// Returns JSON without an envelope, of these statuses. Errors of other statuses have an envelope.
pub(crate) async fn json<T: DeserializeOwned>(
    response: Response,
    statuses: &[StatusCode],
    max_bytes: u64,
) -> Result<T, Error> {
    if !statuses.contains(&response.status()) {
        return data(response, max_bytes).await;
    }
    if !is(&response, "application/json") {
        return Err(wrong_type(&response, "JSON"));
    }
    let status = response.status().as_u16();
    serde_json::from_slice(&limited(response, max_bytes).await?).map_err(|error| Error::malformed(status, error))
}

/// Returns whether the response has this content type.
pub(crate) fn is(response: &Response, media_type: &str) -> bool {
    essence(response).is_some_and(|essence| essence.eq_ignore_ascii_case(media_type))
}

/// Returns whether the response has one of these content types, or none. A kind is a type, or a prefix such as
/// `audio/`.
pub(crate) fn may_be(response: &Response, kinds: &[&str]) -> bool {
    essence(response).is_none_or(|essence| {
        let essence = essence.to_ascii_lowercase();
        kinds.iter().any(|kind| if kind.ends_with('/') { essence.starts_with(kind) } else { essence == *kind })
    })
}

pub(crate) fn wrong_type(response: &Response, expected: &'static str) -> Error {
    let found = response.headers().get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let found = found.unwrap_or_default().chars().take(EXCERPT_CHARS).collect();
    let (retry_after, request_id) = (retry_after(response), request_id(response));
    Error::WrongType { status: response.status().as_u16(), expected, found, retry_after, request_id }
}

/// Reads the body, at most `max_bytes`.
async fn limited(mut response: Response, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::from_reqwest)? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(Error::Limit { max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn essence(response: &Response) -> Option<&str> {
    let value = response.headers().get(header::CONTENT_TYPE)?;
    // A value that is not text counts as an unknown type.
    let text = value.to_str().unwrap_or("?");
    Some(text.split_once(';').map_or(text, |(essence, _)| essence).trim())
}

/// Returns the request's identifier, if it is short and plain.
pub(crate) fn request_id(response: &Response) -> Option<String> {
    let id = response.headers().get("x-request-id")?.to_str().ok()?;
    (1..=MAX_REQUEST_ID_CHARS).contains(&id.len()).then(|| id.to_owned())
}

/// Returns `Retry-After` if it is in seconds. Dates are ignored: Vocalizer does not send them, and they need
/// synchronized clocks.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u32 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}
