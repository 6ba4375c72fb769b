//! Answers in the envelope.
//!
//! Every answer of the contract but audio is JSON in an [`Envelope`]. What is built here always says its type and
//! `nosniff`, since part of what it repeats (titles above all) was chosen by whoever uploaded a song.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use vocalizer_core::api::{ApiError, Envelope, ErrorCode};

/// Sent when an answer cannot be written as JSON: it must not depend on writing JSON.
const INTERNAL: &str =
    r#"{"ok":false,"errors":[{"code":"internal","message":"the answer could not be written"}],"data":null}"#;

/// The HTTP status that goes with an error code.
///
/// [`ErrorCode::Unknown`] is for reading other servers' answers; to send one is the server's own fault.
#[must_use]
pub const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Malformed => StatusCode::BAD_REQUEST,
        ErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::CrossSite
        | ErrorCode::QuotaExceeded
        | ErrorCode::RegistrationClosed
        | ErrorCode::InviteRequired
        | ErrorCode::InviteInvalid => StatusCode::FORBIDDEN,
        ErrorCode::WrongHost => StatusCode::MISDIRECTED_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        // Accepted, and not there yet: an error would be told as one by whoever polls.
        ErrorCode::NotReady => StatusCode::ACCEPTED,
        ErrorCode::Gone => StatusCode::GONE,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::Timeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `200` with `data`. Data that cannot be written as JSON, a map with keys that are no texts for instance, gives a `500`.
#[must_use]
pub fn success<T: Serialize>(data: &T) -> Response<Bytes> {
    respond(StatusCode::OK, &Envelope::Success(data))
}

/// What went wrong, with the status of the first error; without any error, a bare `500`.
///
/// A `401` says how to do better, as RFC 9110 wants it. `Retry-After` is the caller's to add, who knows when.
#[must_use]
pub fn failure(errors: Vec<ApiError>) -> Response<Bytes> {
    let status = errors.first().map_or(StatusCode::INTERNAL_SERVER_ERROR, |error| status_of(error.code));
    let mut response = respond(status, &Envelope::<()>::Failure(errors));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn respond<T: Serialize>(status: StatusCode, envelope: &Envelope<T>) -> Response<Bytes> {
    let (status, body) = match serde_json::to_vec(envelope) {
        Ok(json) => (status, Bytes::from(json)),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(INTERNAL.as_bytes())),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
