//! Reading what a server answers, without trusting it.

use std::time::Duration;

use reqwest::{Response, header};
use serde::de::DeserializeOwned;
use vocalizer_core::api::Envelope;

use crate::Error;

/// Longest piece of a foreign `Content-Type` that an error repeats.
const EXCERPT_CHARS: usize = 80;

/// The `data` of an answer in the envelope.
pub(crate) async fn data<T: DeserializeOwned>(response: Response, max_bytes: u64) -> Result<T, Error> {
    let status = response.status();
    if !is(&response, "application/json") {
        return Err(wrong_type(&response, "JSON"));
    }
    let retry_after = retry_after(&response);
    let body = limited(response, max_bytes).await?;
    let envelope: Envelope<T> =
        serde_json::from_slice(&body).map_err(|error| Error::malformed(status.as_u16(), error))?;
    match envelope.into_result() {
        Err(errors) => Err(Error::Api { status: status.as_u16(), errors, retry_after }),
        Ok(_) if !status.is_success() => {
            Err(Error::malformed(status.as_u16(), "it says that all is well and its status does not"))
        }
        Ok(data) => Ok(data),
    }
}

/// Whether the answer says that it is of this type.
pub(crate) fn is(response: &Response, media_type: &str) -> bool {
    essence(response).is_some_and(|essence| essence.eq_ignore_ascii_case(media_type))
}

/// Whether the answer says that it is of one of these kinds, or does not say what it is. A kind is a type, or the
/// beginning of several.
pub(crate) fn may_be(response: &Response, kinds: &[&str]) -> bool {
    essence(response).is_none_or(|essence| {
        let essence = essence.to_ascii_lowercase();
        kinds.iter().any(|kind| if kind.ends_with('/') { essence.starts_with(kind) } else { essence == *kind })
    })
}

pub(crate) fn wrong_type(response: &Response, expected: &'static str) -> Error {
    let found = response.headers().get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let found = found.unwrap_or_default().chars().take(EXCERPT_CHARS).collect();
    Error::WrongType { status: response.status().as_u16(), expected, found, retry_after: retry_after(response) }
}

/// The body, in memory that grows as it comes in and no further than `max_bytes`.
async fn limited(mut response: Response, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::sending)? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(Error::Limit { max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn essence(response: &Response) -> Option<&str> {
    let value = response.headers().get(header::CONTENT_TYPE)?;
    // A value that is no text is some type, and none that is known.
    let text = value.to_str().unwrap_or("?");
    Some(text.split_once(';').map_or(text, |(essence, _)| essence).trim())
}

/// `Retry-After` in seconds. As a date, which the header also allows and Vocalizer does not send, it would need the
/// server's clock and ours to agree.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u32 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}
