//! A web page next to the API: static files embedded in the program.

use std::collections::HashMap;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use vocalizer_core::song::SongHash;

use crate::body::{Body, full};
use crate::conditional;
use crate::failure::Failure;

/// The content security policy: only scripts, styles, images, requests and the manifest of the page's own origin. No
/// inline scripts or styles, and no scripts from strings (trusted types).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageFile {
    /// The URL path: `/` for the page itself.
    pub path: &'static str,
    /// The content type.
    pub media_type: &'static str,
    /// The content.
    pub bytes: &'static [u8],
}

/// A prepared file.
struct Ready {
    media_type: &'static str,
    plain: Bytes,
    /// The compressed content, about a quarter of the size.
    gzip: Option<Bytes>,
    hash: String,
}

/// The files by path.
#[derive(Default)]
pub(crate) struct Page(HashMap<&'static str, Ready>);

impl Page {
    pub(crate) fn new(files: &[PageFile]) -> Self {
        let ready = |file: &PageFile| {
            let &PageFile { path, media_type, bytes } = file;
            let (plain, hash) = (Bytes::from_static(bytes), SongHash::of(bytes).to_string());
            (path, Ready { media_type, plain, gzip: gzip(bytes).ok(), hash })
        };
        Self(files.iter().map(ready).collect())
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Responds with the file at a path. Browsers revalidate each time, because a new version replaces all files.
    pub(crate) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Response<Body>, Failure> {
        let file = self.0.get(path).ok_or_else(Failure::not_found)?;
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Failure::method_not_allowed("GET, HEAD".to_owned()));
        }
        let gzip = file.gzip.as_ref().filter(|_| takes_gzip(headers));
        let tag = format!("\"{}{}\"", file.hash, if gzip.is_some() { "-gzip" } else { "" });
        let mut response = Response::new(full(Bytes::new()));
        if conditional::not_modified(headers, &tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = full(gzip.unwrap_or(&file.plain).clone());
        }
        let headers = response.headers_mut();
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        Ok(response)
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}

/// Returns whether the client accepts gzip. `q=0` means no.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
