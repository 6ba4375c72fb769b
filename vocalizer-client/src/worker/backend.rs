//! The backend port over HTTP.

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
use vocalizer_api::FailureReason;
use vocalizer_api::WantedData;
use vocalizer_api::causes::chain;
use vocalizer_api::hash::SongHash;
use vocalizer_api::part::Stem;
use vocalizer_api::secret::Secret;
use vocalizer_core::ports::{Backend, BackendError, Blob, BlobError, Job, JobPayload, ResultWriter, StemSet, Wanted};

use super::RemoteSettings;
use super::calls::{backend_error, is_gone, is_missing, is_unsupported};
use super::song::song;
use crate::fetch::RemoteFile;
use crate::flow::{ProgressStream, StallTimer};
use crate::{Client, Download, Error};

/// The name in errors, and the allowed content types of a song.
const TYPES: (&str, &[&str]) = ("a song", &["audio/", "application/octet-stream"]);

/// The core's [`Backend`] port for a remote worker.
///
/// Repeatable calls are retried as in [`ClientBuilder::with_retries`](crate::ClientBuilder::with_retries), except
/// result uploads, which the worker repeats itself. If the backend rejects a song or its result, the error is
/// [`BackendError::Refused`] with the backend's message. All other errors are [`BackendError::Unavailable`].
///
/// Backends of the original system only accept results. A backend counts as such if it does not know the first report,
/// or if there is no token. Then songs are split without asking whether they are still needed, and failures are not
/// reported.
///
/// A backend gets FLAC and the provenance only if its response to the first report says that it takes them. Others, such
/// as those of the original system, get the four MP3s.
#[derive(Clone)]
pub struct RemoteBackend {
    client: Client,
    archive: Arc<dyn ResultWriter>,
    /// Whether to send reports, and not only results.
    reports: Arc<AtomicBool>,
    /// Whether the backend takes FLAC and provenance.
    lossless: Arc<AtomicBool>,
}

impl RemoteBackend {
    /// Creates a backend for an address. `archive` packs the results.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// use vocalizer_client::worker::{RemoteBackend, RemoteSettings};
    /// use vocalizer_core::worker::Worker;
    /// # use vocalizer_core::ports::{JobQueue, ResultWriter, Separator};
    ///
    /// # fn worker(
    /// #     broker: Arc<dyn JobQueue>, archive: Arc<dyn ResultWriter>, separator: Arc<dyn Separator>, token: String,
    /// # ) -> Result<Worker, vocalizer_client::Error> {
    /// // Jobs come from a broker, not from the server.
    /// let settings = RemoteSettings::new("https://vocalizer.example", token);
    /// let backend = Arc::new(RemoteBackend::new(&settings, archive)?);
    /// let worker = Worker::builder(broker, backend, separator).build();
    /// # Ok(worker)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Setup`].
    pub fn new(settings: &RemoteSettings, archive: Arc<dyn ResultWriter>) -> Result<Self, Error> {
        let reports = settings.has_token();
        let backend = Self::over(settings.client()?, archive);
        backend.reports.store(reports, Ordering::Relaxed);
        Ok(backend)
    }

    /// Creates a backend from a configured client, with the worker token as
    /// [its token](crate::ClientBuilder::with_token).
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// use vocalizer_client::worker::RemoteBackend;
    /// use vocalizer_client::{Client, Error};
    /// # use vocalizer_core::ports::ResultWriter;
    ///
    /// # fn backend(token: String, archive: Arc<dyn ResultWriter>) -> Result<RemoteBackend, Error> {
    /// let client = Client::builder("https://vocalizer.example").with_token(token);
    /// let client = client.with_on_retry(|error, _| eprintln!("retrying: {error}")).build()?;
    /// let backend = RemoteBackend::over(client, archive);
    /// # Ok(backend)
    /// # }
    /// ```
    #[must_use]
    pub fn over(client: Client, archive: Arc<dyn ResultWriter>) -> Self {
        let (reports, lossless) = (Arc::new(AtomicBool::new(true)), Arc::default());
        Self { client, archive, reports, lossless }
    }

    /// Detects a backend without reports, and disables them.
    fn is_original(&self, error: &Error) -> bool {
        let original = is_unsupported(error);
        if original && self.reports.swap(false, Ordering::Relaxed) {
            let backend = self.client.base.origin().ascii_serialization();
            tracing::warn!(backend, "backend does not support reports; sending only results");
        }
        original
    }

    /// Sends a report and ignores the response data.
    async fn report(&self, path: &str, fields: Option<&serde_json::Value>) -> Result<(), BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.client.report_with_retries::<IgnoredAny>(path, fields).await {
            Ok(_) => Ok(()),
            Err(error) if self.is_original(&error) => Ok(()),
            Err(error) => Err(backend_error(error)),
        }
    }

    /// Returns the URL of a claim check. It must be at the backend, because the request carries the token.
    fn claim_url(&self, location: &Secret<String>) -> Result<Url, BackendError> {
        let location = location.expose().as_str();
        let base = self.client.base.as_ref();
        let url = match Url::parse(location) {
            Ok(url) => Ok(url),
            // Relative paths are below the backend's address; two slashes would name another server.
            Err(url::ParseError::RelativeUrlWithoutBase) if !location.starts_with("//") => {
                base.join(location.strip_prefix('/').unwrap_or(location))
            }
            Err(_) => base.join(location),
        };
        // The errors do not contain the location, which may be signed.
        let refused = |why: &str| BackendError::Refused { why: why.to_owned() };
        let url = url.map_err(|_| refused("the job has an invalid song location"))?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.origin() != base.origin() {
            return Err(refused("the job's song location is not at the backend"));
        }
        Ok(url)
    }
}

fn path(hash: &SongHash, what: &str) -> String {
    format!("songs/{hash}/{what}")
}

fn wanted(result: Result<WantedData, Error>) -> Result<Wanted, BackendError> {
    match result {
        Ok(data) => Ok(data.wanted),
        Err(error) if is_gone(&error) => Ok(Wanted::Gone),
        // For an unknown song the backend responds with success, so a 404 means that the path does not exist.
        Err(error) => Err(backend_error(error)),
    }
}

#[async_trait]
impl Backend for RemoteBackend {
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(Wanted::Yes);
        }
        match self.client.report_with_retries(&path(hash, "begin"), None).await {
            Err(error) if self.is_original(&error) => Ok(Wanted::Yes),
            result => {
                let lossless = result.as_ref().is_ok_and(|data: &WantedData| data.lossless);
                self.lossless.store(lossless, Ordering::Relaxed);
                wanted(result)
            }
        }
    }

    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError> {
        let url = match &job.payload {
            JobPayload::Inline(bytes) => return Ok(Some(Blob::from(bytes.clone()))),
            JobPayload::Stored => self.client.url(&path(&job.key, "source")).map_err(backend_error)?,
            JobPayload::Claim(location) => self.claim_url(location)?,
            _ => return Err(BackendError::Refused { why: "unknown kind of job".to_owned() }),
        };
        let download = match Download::open(RemoteFile::new(&self.client, url, TYPES)).await {
            Ok(download) => download,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(backend_error(error)),
        };
        let Some(size_bytes) = download.size_bytes() else {
            return Err(BackendError::Unavailable("the backend did not send the size of the song".into()));
        };
        Ok(Some(song(download, size_bytes, job.hash)))
    }

    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError> {
        if !self.reports.load(Ordering::Relaxed) {
            return Ok(Wanted::Yes);
        }
        // Not retried: the next report replaces it.
        let fields = json!({"percent": percent.min(100)});
        let report = self.client.report(&path(hash, "progress"), Some(&fields)).map_err(backend_error)?;
        wanted(self.client.call(report).await)
    }

    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        let archive = match self.lossless.load(Ordering::Relaxed) {
            true => self.archive.write(stems).await,
            false => self.archive.write(&FourMp3s(stems)).await,
        };
        // The stems are at fault, not the backend, so it counts as an attempt.
        let archive = archive
            .map_err(|error| BackendError::Refused { why: format!("packing the result failed: {}", chain(&error)) })?;
        let (size_bytes, settings) = (archive.size_bytes(), &self.client.settings);
        let timer = StallTimer::new(settings.stall_timeout, settings.timeout);
        let request = self.client.request(Method::POST, &path(hash, "upload_result")).map_err(backend_error)?;
        let request = request.header(CONTENT_TYPE, "application/x-tar").header(CONTENT_LENGTH, size_bytes).body(
            Body::wrap_stream(ProgressStream::new(
                archive.map_err(io::Error::other).boxed(),
                Some(size_bytes),
                None,
                &timer,
            )),
        );
        match timer.watch(self.client.call_unbounded::<IgnoredAny>(request)).await {
            Ok(_) => Ok(Wanted::Yes),
            Err(error) if is_missing(&error) => Ok(Wanted::Gone),
            Err(error) => Err(backend_error(error)),
        }
    }

    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError> {
        self.report(&path(hash, "hand_back"), None).await
    }

    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError> {
        let fields = json!({"reason": reason.as_str()});
        self.report(&path(hash, "fail"), Some(&fields)).await
    }
}

/// Stems as a backend of the original system takes them.
struct FourMp3s<'a>(&'a dyn StemSet);

#[async_trait]
impl StemSet for FourMp3s<'_> {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        self.0.open(stem).await
    }
}

/// Shows the backend's address.
impl fmt::Debug for RemoteBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBackend").field("client", &self.client).finish_non_exhaustive()
    }
}
