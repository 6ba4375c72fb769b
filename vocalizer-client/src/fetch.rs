//! Asking for files, and for the rest of one.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout};
use url::Url;
use vocalizer_core::song::SongId;

use crate::{Client, Download, Error, ErrorCode, SongFile, answer};

/// Shortest pause between two questions whether a file is ready, whatever the server says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// A file on the server: where it is, what it may be, and what it takes to tell that it is still the same.
#[derive(Clone)]
pub(crate) struct Source {
    client: Client,
    url: Url,
    /// What it is called in errors, and the types that its answer may have.
    types: (&'static str, &'static [&'static str]),
    etag: Option<HeaderValue>,
    pub(crate) size_bytes: Option<u64>,
}

/// A file, or the rest of it, about to come.
pub(crate) struct Opened {
    pub(crate) response: Response,
    /// How many of its bytes are here already.
    pub(crate) skip_bytes: u64,
}

impl Client {
    /// Begins to download a part of a song, in any format, or all its stems: see [`SongFile`].
    ///
    /// What the server says is not ready yet is asked for again, for as long as
    /// [`ClientBuilder::with_ready_timeout`](crate::ClientBuilder::with_ready_timeout) says.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the song is not there, could not be split, or is not ready in time; [`Error::WrongType`] for
    /// what is no such file.
    pub async fn download(&self, id: SongId, file: impl Into<SongFile>) -> Result<Download, Error> {
        let file = file.into();
        Source::new(self, self.url(&file.path(id))?, file.types()).open().await
    }
}

impl Source {
    pub(crate) fn new(client: &Client, url: Url, types: (&'static str, &'static [&'static str])) -> Self {
        Self { client: client.clone(), url, types, etag: None, size_bytes: None }
    }

    /// Begins to download it; see [`Client::download`].
    pub(crate) async fn open(mut self) -> Result<Download, Error> {
        let client = self.client.clone();
        let give_up = Instant::now() + client.settings.ready_timeout;
        let mut retry = client.retries();
        loop {
            let error = match self.ask(self.request(), StatusCode::OK).await {
                Ok(response) => {
                    self.etag = strong_etag(&response);
                    self.size_bytes = response.content_length();
                    return Ok(Download::new(&client, self, response));
                }
                Err(error) => error,
            };
            let pause = if error.has_code(ErrorCode::NotReady) {
                let asked = error.retry_after().unwrap_or_default().max(SHORTEST_PAUSE);
                Some(asked).filter(|&asked| Instant::now() + asked <= give_up)
            } else {
                retry.after(&error)
            };
            let Some(pause) = pause else { return Err(error) };
            sleep(pause).await;
        }
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.client.settings.timeout
    }

    /// Whether the rest can be asked for: without a tag nobody could tell that it is the rest of the same file.
    pub(crate) const fn can_resume(&self) -> bool {
        self.etag.is_some()
    }

    /// Asks for the rest, beginning with this byte.
    pub(crate) async fn reopen(self, from: u64) -> Result<Opened, Error> {
        let Some(etag) = &self.etag else { return Err(Error::Changed) };
        let request = self.request().header(RANGE, format!("bytes={from}-")).header(IF_RANGE, etag);
        let response = match self.ask(request, StatusCode::PARTIAL_CONTENT).await {
            // It became shorter.
            Err(Error::Api { status: 416, .. } | Error::WrongType { status: 416, .. }) => return Err(Error::Changed),
            opened => opened?,
        };
        if response.status() == StatusCode::OK {
            // All of it, because it changed, or because the server knows no ranges.
            let is_same = strong_etag(&response).as_ref() == Some(etag) && response.content_length() == self.size_bytes;
            return if is_same { Ok(Opened { response, skip_bytes: from }) } else { Err(Error::Changed) };
        }
        if strong_etag(&response).is_some_and(|now| now != *etag) {
            return Err(Error::Changed);
        }
        let Some((first, last, size_bytes)) = content_range(&response) else {
            return Err(Error::malformed(206, "it does not say which piece it is"));
        };
        let is_rest = first == from && last.checked_add(1) == Some(size_bytes);
        let rest_bytes = size_bytes.checked_sub(from);
        let has_length = response.content_length().is_none() || response.content_length() == rest_bytes;
        let is_whole = self.size_bytes.is_none_or(|whole| whole == size_bytes);
        if !(is_rest && has_length && is_whole) {
            return Err(Error::malformed(206, "it is another piece than was asked for"));
        }
        Ok(Opened { response, skip_bytes: 0 })
    }

    fn request(&self) -> RequestBuilder {
        self.client.http.get(self.url.clone())
    }

    /// The answer, if it is the file, whole or the piece that was asked for.
    async fn ask(&self, request: RequestBuilder, status: StatusCode) -> Result<Response, Error> {
        let response =
            timeout(self.timeout(), request.send()).await.map_err(|_| Error::TimedOut)?.map_err(Error::sending)?;
        let (expected, kinds) = self.types;
        let is_file = response.status() == StatusCode::OK || response.status() == status;
        if is_file && answer::may_be(&response, kinds) {
            return Ok(response);
        }
        if !answer::is(&response, "application/json") {
            return Err(answer::wrong_type(&response, expected));
        }
        let status = response.status().as_u16();
        let said = answer::data::<IgnoredAny>(response, self.client.settings.max_answer_bytes);
        timeout(self.timeout(), said).await.map_err(|_| Error::TimedOut)??;
        Err(Error::malformed(status, "it says that all is well and brings no file"))
    }
}

/// The tag, if equal tags mean equal bytes.
fn strong_etag(response: &Response) -> Option<HeaderValue> {
    response.headers().get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

/// `bytes first-last/size`.
fn content_range(response: &Response) -> Option<(u64, u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, size_bytes) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size_bytes.parse().ok()?))
}
