//! Conditional requests (RFC 9110, section 13).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use vocalizer_core::song::SongHash;

/// How many hexadecimal digits of a body's hash are its tag.
const TAG_DIGITS: usize = 32;

/// Returns whether the client already has this version (`304`).
pub(crate) fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns whether `Range` applies: `If-Range` is absent or matches the ETag. Dates never match.
pub(crate) fn range_holds(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes())
}

/// Tags a response from memory with its content, so that the client may store it and ask whether it has changed. Returns
/// `304` if the client has this content already.
pub(crate) fn revalidated(asked: &HeaderMap, mut response: Response<Bytes>) -> Response<Bytes> {
    let hash = SongHash::of(response.body()).to_string();
    let etag = format!("\"{}\"", hash.get(..TAG_DIGITS).unwrap_or(&hash));
    if not_modified(asked, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.headers_mut().extend(HeaderValue::try_from(etag).ok().map(|etag| (header::ETAG, etag)));
    response
}
