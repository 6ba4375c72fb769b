//! A web page beside the interface: files that a program brings along.

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

/// What the page may do: run its own scripts and ask its own server. No script, style or picture of another place is let in,
/// none that stands in the markup, and no script is ever made of a text.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageFile {
    /// Where it is: `/` for the page itself.
    pub path: &'static str,
    /// What it is.
    pub media_type: &'static str,
    /// All of it.
    pub bytes: &'static [u8],
}

/// A file, ready to be sent.
struct Ready {
    media_type: &'static str,
    plain: Bytes,
    /// For browsers that take it, which is all of them; a quarter as large.
    gzip: Option<Bytes>,
    hash: String,
}

/// The files by their paths.
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

    /// The file at a path. A browser asks each time whether it is still so, for a new version brings all of its files anew.
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

/// Whether the client names gzip among what it takes, and does not say "anything but".
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
