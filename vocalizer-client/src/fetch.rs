//! Requests for files, and for the rest of an interrupted download.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_RANGE, RANGE};
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
pub(crate) struct RemoteFile {
    client: Client,
    url: Url,
    /// The name in errors, and the allowed content types.
    types: (&'static str, &'static [&'static str]),
    etag: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    pub(crate) size_bytes: Option<u64>,
}

/// A response with a file, or the rest of one.
pub(crate) struct Opened {
    pub(crate) response: Response,
    /// Number of bytes to skip, because they were already received.
    pub(crate) skip_bytes: u64,
}

impl RemoteFile {
    pub(crate) fn new(client: &Client, url: Url, types: (&'static str, &'static [&'static str])) -> Self {
        Self { client: client.clone(), url, types, etag: None, content_type: None, size_bytes: None }
    }

    /// Sends the first request; see [`Client::download`].
    pub(crate) async fn open(mut self) -> Result<(Self, Response), Error> {
        let deadline = Instant::now() + self.client.settings.ready_timeout;
        let mut retry = self.retries();
        loop {
            let error = match self.fetch(self.request(), StatusCode::OK).await {
                Ok(response) => {
                    self.learn(&response);
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

    /// Reads the headers of the file, without its bytes. A file that is not made yet has no size.
    pub(crate) async fn head(mut self) -> Result<Self, Error> {
        let request = || async {
            let request = self.client.exchange(self.client.http.head(self.url.clone()));
            timeout(self.timeout(), request).await.map_err(|_| Error::TimedOut)?
        };
        let response = self.client.retrying(request).await?;
        if response.status() != StatusCode::OK || !answer::may_be(&response, self.types.1) {
            // A response to HEAD has no body, so only GET tells what is wrong.
            return self.open().await.map(|(file, _)| file);
        }
        self.learn(&response);
        // The HTTP library reports the length of the body, and a response to HEAD has none.
        let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        self.size_bytes = length.and_then(|length| length.parse().ok());
        Ok(self)
    }

    /// Reads a part of the file, with retries.
    pub(crate) async fn range(self, range: Range<u64>) -> Result<Bytes, Error> {
        self.client.retrying(|| self.try_range(&range)).await
    }

    async fn try_range(&self, range: &Range<u64>) -> Result<Bytes, Error> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let mut response = self.fetch(self.request().header(RANGE, header), StatusCode::PARTIAL_CONTENT).await?;
        let Some((first, last, _)) = content_range(&response).filter(|&(first, last, _)| first <= last) else {
            return Err(Error::malformed(response.status().as_u16(), "the server sent no range"));
        };
        if first != range.start || last >= range.end {
            return Err(Error::malformed(206, "the range differs from the requested one"));
        }
        let (mut bytes, max_bytes) = (Vec::new(), range.end - range.start);
        while let Some(chunk) = timeout(self.timeout(), response.chunk())
            .await
            .map_err(|_| Error::TimedOut)?
            .map_err(Error::from_reqwest)?
        {
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                return Err(Error::Limit { max_bytes });
            }
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != last - first + 1 {
            return Err(Error::malformed(206, "the range is incomplete"));
        }
        Ok(bytes.into())
    }

    /// Requests the rest of a file whose first `from` bytes an earlier download received.
    pub(crate) async fn open_at(mut self, from: u64, etag: &str) -> Result<(Self, Opened), Error> {
        self.etag = Some(HeaderValue::from_str(etag).map_err(|_| Error::Changed)?);
        let attempt = || async {
            match self.clone().reopen(from).await {
                // The change is final, although another download may succeed.
                Err(Error::Changed) => Ok(None),
                opened => opened.map(Some),
            }
        };
        let opened = self.client.retrying(attempt).await?.ok_or(Error::Changed)?;
        let rest_bytes = opened.response.content_length();
        self.size_bytes = rest_bytes.and_then(|rest| rest.checked_add(from - opened.skip_bytes));
        self.content_type = opened.response.headers().get(CONTENT_TYPE).cloned();
        Ok((self, opened))
    }

    fn learn(&mut self, response: &Response) {
        self.etag = strong_etag(response);
        self.content_type = response.headers().get(CONTENT_TYPE).cloned();
        self.size_bytes = response.content_length();
    }

    pub(crate) fn etag(&self) -> Option<&str> {
        self.etag.as_ref()?.to_str().ok()
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_ref()?.to_str().ok()
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
            let is_same = strong_etag(&response).as_ref() == Some(etag)
                && (self.size_bytes.is_none() || response.content_length() == self.size_bytes)
                && response.content_length().is_none_or(|size_bytes| from <= size_bytes);
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
