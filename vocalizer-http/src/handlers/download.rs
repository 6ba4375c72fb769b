//! File downloads: the whole file, a range, or `304`.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use vocalizer_core::api::ErrorCode;
use vocalizer_core::ports::Blob;
use vocalizer_core::service::ServiceError;

use super::Answer;
use crate::body::{full, stream};
use crate::conditional;
use crate::failure::Failure;
use crate::range::Selection;
use crate::request::Request;

/// Only the client may cache the file, and it must revalidate.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Responds with the file from `open`. Adds the headers for ranges, ETags and caching to `headers`.
pub(super) async fn file<O>(
    request: &Request,
    tag: &str,
    size_bytes: u64,
    headers: HeaderMap,
    open: impl FnOnce(Option<Range<u64>>) -> O,
) -> Answer
where
    O: Future<Output = Result<Blob, ServiceError>>,
{
    let etag = format!("\"{tag}\"");
    let mut response = Response::new(full(Bytes::new()));
    if conditional::not_modified(&request.headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let ranged = request.method == Method::GET && conditional::range_holds(&request.headers, &etag);
        let selection = if ranged { Selection::of(&request.headers, size_bytes) } else { Selection::Whole };
        let content_range = selection.content_range(size_bytes);
        let range = match &selection {
            Selection::Whole => None,
            Selection::Part(range) => Some(range.clone()),
            Selection::Unsatisfiable => {
                let message = format!("range not satisfiable: the file has {size_bytes} bytes");
                let failure = Failure::new(ErrorCode::RangeNotSatisfiable, message);
                let mut response = failure.into_response().map(full);
                response.headers_mut().extend(content_range.map(|range| (header::CONTENT_RANGE, range)));
                return Ok(response);
            }
        };
        *response.status_mut() = selection.status();
        response.headers_mut().extend(content_range.map(|range| (header::CONTENT_RANGE, range)));
        let mut content_length = size_bytes;
        if request.method == Method::GET {
            let blob = open(range).await?;
            content_length = blob.size_bytes();
            *response.body_mut() = stream(blob);
        }
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(content_length));
    }
    response.headers_mut().extend(headers);
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.extend(HeaderValue::try_from(etag).ok().map(|etag| (header::ETAG, etag)));
    Ok(response)
}
