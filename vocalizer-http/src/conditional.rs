//! Conditional requests (RFC 9110, section 13).

use http::{HeaderMap, header};

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
