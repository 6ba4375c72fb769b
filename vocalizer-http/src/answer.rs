//! JSON responses in the envelope.
//!
//! Every response except audio is JSON in an [`Envelope`]. Responses always have a content type and `nosniff`, because
//! they repeat text from users, such as titles.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use vocalizer_core::api::{ApiError, Envelope, ErrorCode};

/// Sent if a response cannot be serialized as JSON.
const INTERNAL: &str =
    r#"{"ok":false,"errors":[{"code":"internal","message":"the response could not be serialized"}],"data":null}"#;

/// Returns the HTTP status for an error code.
///
/// [`ErrorCode::Unknown`] only occurs in responses of other servers; sending it is a bug and gives 500.
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
        | ErrorCode::InviteInvalid
        | ErrorCode::AccountDisabled
        | ErrorCode::Forbidden
        | ErrorCode::SignInRefused => StatusCode::FORBIDDEN,
        ErrorCode::WrongHost => StatusCode::MISDIRECTED_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Gone => StatusCode::GONE,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::Timeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        // An error, so that `curl --fail` and wget do not save it as the file.
        ErrorCode::Conflict | ErrorCode::Duplicate | ErrorCode::NotReady => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable | ErrorCode::SignInMisconfigured => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns a `200` response with `data`. If the data cannot be serialized as JSON, returns `500`.
#[must_use]
pub fn success<T: Serialize>(data: &T) -> Response<Bytes> {
    respond(StatusCode::OK, &Envelope::Success(data))
}

/// Returns an error response with the status of the first error, or `500` if `errors` is empty.
///
/// A `401` has the `WWW-Authenticate` header that RFC 9110 requires. The caller adds `Retry-After`.
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
