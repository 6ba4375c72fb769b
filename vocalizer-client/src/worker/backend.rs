//! The backend, over HTTP.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use serde::de::IgnoredAny;
use serde_json::json;
use url::Url;
use vocalizer_core::api::WantedData;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Backend, BackendError, Blob, Job, JobPayload, ResultWriter, StemSet, Wanted};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongHash};

use super::RemoteSettings;
use super::calls::{failed, is_gone, is_missing, is_unheard_of};
use super::song::song;
use crate::fetch::Source;
use crate::flow::{Counted, Flow};
use crate::{Client, Error};

/// What a song comes as.
const TYPES: (&str, &[&str]) = ("a song", &["audio/", "application/octet-stream"]);

/// Core's [`Backend`] for a worker that is elsewhere.
///
/// What may be repeated is tried again as [`ClientBuilder::with_retries`](crate::ClientBuilder::with_retries) says, all
/// but a delivery, which the worker repeats itself. What the backend has against a song or its result is
/// [`BackendError::Refused`], with its words; everything else is [`BackendError::Unavailable`].
///
/// Backends of the original system take results and nothing else. One that does not know of the first report is taken for
/// such a one, and so is every backend where there is no token to report with: songs are split unasked then, and a failure
/// is told to nobody.
#[derive(Clone)]
pub struct RemoteBackend {
    client: Client,
    archive: Arc<dyn ResultWriter>,
    /// Whether it is told of anything but results.
    reports: Arc<AtomicBool>,
}

impl RemoteBackend {
    /// The backend at an address, which is sent results as `archive` packs them.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Setup`].
    pub fn new(settings: RemoteSettings, archive: Arc<dyn ResultWriter>) -> Result<Self, Error> {
        let reports = settings.token.is_some();
        let backend = Self::over(settings.client()?, archive);
        backend.reports.store(reports, Ordering::Relaxed);
        Ok(backend)
    }

    /// The same over a client that was set up in more detail, with the worker's token as
    /// [its token](crate::ClientBuilder::with_token).
    #[must_use]
    pub fn over(client: Client, archive: Arc<dyn ResultWriter>) -> Self {
        Self { client, archive, reports: Arc::new(AtomicBool::new(true)) }
    }

    /// Says nothing more to a backend that knows of no reports.
    fn taken_for_an_original(&self, error: &Error) -> bool {
        let original = is_unheard_of(error);
        if original && self.reports.swap(false, Ordering::Relaxed) {
            let backend = self.client.base.origin().ascii_serialization();
            tracing::warn!(backend, "the backend knows of no reports; it is sent results alone, as the original's are");
        }
        original
    }

    /// Reports and has no need of an answer.
    async fn tell(&self, path: &str, fields: Option<&serde_json::Value>) -> Result<(), BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.client.report_again::<IgnoredAny>(path, fields).await {
            Ok(_) => Ok(()),
            Err(error) if self.taken_for_an_original(&error) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Where the song of a claim is: at the backend, or it is not fetched, for the token goes along.
    fn claimed(&self, location: &Secret<String>) -> Result<Url, BackendError> {
        let location = location.expose().as_str();
        let base = self.client.base.as_ref();
        let url = match Url::parse(location) {
            Ok(url) => Ok(url),
            // Below the backend's address, as all its paths are; two slashes would name another server.
            Err(url::ParseError::RelativeUrlWithoutBase) if !location.starts_with("//") => {
                base.join(location.strip_prefix('/').unwrap_or(location))
            }
            Err(_) => base.join(location),
        };
        // Neither answer repeats the location, which may be signed.
        let refused = |why: &str| BackendError::Refused { why: why.to_owned() };
        let url = url.map_err(|_| refused("the job says that its song is where nothing can be"))?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.origin() != base.origin() {
            return Err(refused("the job says that its song is somewhere else than at the backend"));
        }
        Ok(url)
    }
}

fn path(hash: &SongHash, what: &str) -> String {
    format!("songs/{hash}/{what}")
}

fn wanted(said: Result<WantedData, Error>) -> Result<Wanted, BackendError> {
    match said {
        Ok(data) => Ok(data.wanted),
        Err(error) if is_gone(&error) => Ok(Wanted::Gone),
        // Of a song that is not there a backend says so with a success: without one there is none at this address.
        Err(error) => Err(failed(error)),
    }
}

#[async_trait]
impl Backend for RemoteBackend {
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(Wanted::Yes);
        }
        match self.client.report_again(&path(hash, "begin"), None).await {
            Err(error) if self.taken_for_an_original(&error) => Ok(Wanted::Yes),
            said => wanted(said),
        }
    }

    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError> {
        let url = match &job.payload {
            JobPayload::Inline(bytes) => return Ok(Some(Blob::from(bytes.clone()))),
            JobPayload::Stored => self.client.url(&path(&job.hash, "source")).map_err(failed)?,
            JobPayload::Claim(location) => self.claimed(location)?,
            _ => return Err(BackendError::Refused { why: "the job is of a kind that is not known here".to_owned() }),
        };
        let download = match Source::new(&self.client, url, TYPES).open().await {
            Ok(download) => download,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some(size_bytes) = download.size_bytes() else {
            return Err(BackendError::Unavailable("the backend does not say how long the song is".into()));
        };
        Ok(Some(song(download, size_bytes, job.hash)))
    }

    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(Wanted::Yes);
        }
        // Once: the next one says more.
        let fields = json!({"percent": percent.min(100)});
        let report = self.client.report(&path(hash, "progress"), Some(&fields)).map_err(failed)?;
        wanted(self.client.call(report).await)
    }

    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        let archive = self.archive.write(stems).await;
        // It is the stems' fault and not the backend's: an attempt that made no good ones has been one.
        let archive = archive.map_err(|error| BackendError::Refused {
            why: format!("the result cannot be packed: {}", chain(&error)),
        })?;
        let (size_bytes, settings) = (archive.size_bytes(), &self.client.settings);
        let flow = Flow::new(settings.stall_timeout, settings.timeout);
        let request = self.client.request(Method::POST, &path(hash, "upload_result")).map_err(failed)?;
        let request = request.header(CONTENT_TYPE, "application/x-tar").header(CONTENT_LENGTH, size_bytes).body(
            Body::wrap_stream(Counted::new(archive.map_err(io::Error::other).boxed(), Some(size_bytes), None, &flow)),
        );
        match flow.watch(self.client.call_unbounded::<IgnoredAny>(request)).await {
            Ok(_) => Ok(Wanted::Yes),
            Err(error) if is_missing(&error) => Ok(Wanted::Gone),
            Err(error) => Err(failed(error)),
        }
    }

    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError> {
        self.tell(&path(hash, "hand_back"), None).await
    }

    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError> {
        let fields = json!({"reason": reason.as_str()});
        self.tell(&path(hash, "fail"), Some(&fields)).await
    }
}

/// Says which backend.
impl fmt::Debug for RemoteBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBackend").field("client", &self.client).finish_non_exhaustive()
    }
}
