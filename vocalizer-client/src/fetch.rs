//! Requests for files, and for the rest of an interrupted download.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::retry::Retry;
use crate::{Client, Error, ErrorCode, answer};

/// Minimum pause between two requests for a file that is not ready.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// A file on the server: its URL, its allowed types and its ETag.
#[derive(Clone)]
pub(crate) struct Source {
    client: Client,
    url: Url,
    /// The name in errors, and the allowed content types.
    types: (&'static str, &'static [&'static str]),
    etag: Option<HeaderValue>,
    pub(crate) size_bytes: Option<u64>,
}

/// A response with a file, or the rest of one.
pub(crate) struct Opened {
    pub(crate) response: Response,
    /// Number of bytes to skip, because they were already received.
    pub(crate) skip_bytes: u64,
}

impl Source {
    pub(crate) fn new(client: &Client, url: Url, types: (&'static str, &'static [&'static str])) -> Self {
        Self { client: client.clone(), url, types, etag: None, size_bytes: None }
    }

    /// Sends the first request; see [`Client::download`].
    pub(crate) async fn open(mut self) -> Result<(Self, Response), Error> {
        let deadline = Instant::now() + self.client.settings.ready_timeout;
        let mut retry = self.retries();
        loop {
            let error = match self.fetch(self.request(), StatusCode::OK).await {
                Ok(response) => {
                    self.etag = strong_etag(&response);
                    self.size_bytes = response.content_length();
                    return Ok((self, response));
                }
                Err(error) => error,
            };
            let pause = if error.has_code(ErrorCode::NotReady) {
                let pause = error.retry_after().unwrap_or_default().max(MIN_PAUSE);
                Some(pause).filter(|&pause| Instant::now() + pause <= deadline)
            } else {
                retry.after(&error)
            };
            let Some(pause) = pause else { return Err(error) };
            sleep(pause).await;
        }
    }

    pub(crate) fn retries(&self) -> Retry {
        self.client.retries()
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.client.settings.timeout
    }

    /// Returns whether the download can be resumed. Without an ETag, changes of the file could not be detected.
    pub(crate) const fn can_resume(&self) -> bool {
        self.etag.is_some()
    }

    /// Requests the rest of the file from this byte.
    pub(crate) async fn reopen(self, from: u64) -> Result<Opened, Error> {
        let Some(etag) = &self.etag else { return Err(Error::Changed) };
        let request = self.request().header(RANGE, format!("bytes={from}-")).header(IF_RANGE, etag);
        let response = match self.fetch(request, StatusCode::PARTIAL_CONTENT).await {
            // The file is shorter now.
            Err(Error::Api { status: 416, .. } | Error::WrongType { status: 416, .. }) => return Err(Error::Changed),
            opened => opened?,
        };
        if response.status() == StatusCode::OK {
            // The whole file: it changed, or the server does not support ranges.
            let is_same = strong_etag(&response).as_ref() == Some(etag) && response.content_length() == self.size_bytes;
            return if is_same { Ok(Opened { response, skip_bytes: from }) } else { Err(Error::Changed) };
        }
        if strong_etag(&response).is_some_and(|now| now != *etag) {
            return Err(Error::Changed);
        }
        let Some((first, last, size_bytes)) = content_range(&response) else {
            return Err(Error::malformed(206, "Content-Range is missing or invalid"));
        };
        let is_rest = first == from && last.checked_add(1) == Some(size_bytes);
        let rest_bytes = size_bytes.checked_sub(from);
        let has_length = response.content_length().is_none() || response.content_length() == rest_bytes;
        let is_whole = self.size_bytes.is_none_or(|whole| whole == size_bytes);
        if !(is_rest && has_length && is_whole) {
            return Err(Error::malformed(206, "the range differs from the requested one"));
        }
        Ok(Opened { response, skip_bytes: 0 })
    }

    fn request(&self) -> RequestBuilder {
        self.client.http.get(self.url.clone())
    }

    /// Sends the request and checks that the response is the file, or the requested range of it.
    async fn fetch(&self, request: RequestBuilder, status: StatusCode) -> Result<Response, Error> {
        let response = timeout(self.timeout(), self.client.exchange(request)).await.map_err(|_| Error::TimedOut)??;
        let (expected, kinds) = self.types;
        let is_file = response.status() == StatusCode::OK || response.status() == status;
        if is_file && answer::may_be(&response, kinds) {
            return Ok(response);
        }
        if !answer::is(&response, "application/json") {
            return Err(answer::wrong_type(&response, expected));
        }
        let status = response.status().as_u16();
        let error = answer::data::<IgnoredAny>(response, self.client.settings.max_answer_bytes);
        timeout(self.timeout(), error).await.map_err(|_| Error::TimedOut)??;
        Err(Error::malformed(status, "the envelope reports success, but there is no file"))
    }
}

/// Returns the ETag if it is strong, so that equal tags mean equal bytes.
fn strong_etag(response: &Response) -> Option<HeaderValue> {
    response.headers().get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

/// Parses `bytes first-last/size`.
fn content_range(response: &Response) -> Option<(u64, u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, size_bytes) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size_bytes.parse().ok()?))
}
