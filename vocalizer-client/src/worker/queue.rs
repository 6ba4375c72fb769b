//! The queue port over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use vocalizer_api::backoff::jittered;
use vocalizer_api::hash::{ParseHashError, SongHash};
use vocalizer_api::id::LeaseId;
use vocalizer_api::{JobData, JobView, MAX_JOB_DELAY, MAX_JOB_WAIT};
use vocalizer_core::models::{Capabilities, InvalidModelName, ModelName};
use vocalizer_core::ports::{Depth, Failure, Job, JobPayload, JobQueue, JobState, JobTrace, Lease, QueueError};

use super::RemoteSettings;
use super::calls::{cause, status};
use crate::{Client, Error};

/// How long the backend waits for a job. Proxies close connections that are idle for a minute.
const WAIT: Duration = Duration::from_secs(30);

/// Pause after an immediate empty response, for example during a shutdown of the backend.
const PAUSE: Duration = Duration::from_secs(1);

/// Settling a lease is retried after token errors for at most half of this.
const MAX_TOKEN_RETRY: Duration = Duration::from_secs(60);

/// The leasing side of the core's [`JobQueue`] port, for a remote worker.
///
/// Jobs do not contain their songs; [`RemoteBackend`](super::RemoteBackend) downloads them. Publishing jobs and
/// inspecting the queue is not supported and fails with [`QueueError::Unavailable`].
///
/// A dropped lease returns to the queue when it expires. If a lease was settled but the response was lost, the retry
/// fails with [`QueueError::LeaseLost`].
#[derive(Debug, Clone)]
pub struct RemoteQueue {
    client: Client,
    wait: Duration,
}

impl RemoteQueue {
    /// Creates a queue for the backend at an address.
    ///
    /// ```no_run
    /// use vocalizer_client::worker::{RemoteQueue, RemoteSettings};
    /// use vocalizer_core::ports::JobQueue as _;
    ///
    /// # async fn lease() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = RemoteSettings::new("https://vocalizer.example", std::env::var("WORKER_TOKEN")?);
    /// let lease = RemoteQueue::new(&settings)?.lease().await?;
    /// println!("attempt {} at {}", lease.attempt(), lease.job().hash);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Setup`].
    pub fn new(settings: &RemoteSettings) -> Result<Self, Error> {
        Ok(Self::over(settings.client()?))
    }

    /// Creates a queue from a configured client, with the worker token as
    /// [its token](crate::ClientBuilder::with_token). For requests in the trace of their job, its
    /// [trace](crate::ClientBuilder::with_traceparent) is [the current one](vocalizer_core::trace::current).
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use vocalizer_client::worker::{RemoteBackend, RemoteQueue};
    /// use vocalizer_client::{Client, Error};
    /// # use vocalizer_core::ports::ResultWriter;
    ///
    /// # fn ports(token: String, archive: Arc<dyn ResultWriter>) -> Result<(RemoteQueue, RemoteBackend), Error> {
    /// let builder = Client::builder("https://vocalizer.example").with_token(token);
    /// let client = builder.with_stall_timeout(Duration::from_secs(300)).build()?;
    /// let (queue, backend) = (RemoteQueue::over(client.clone()), RemoteBackend::over(client, archive));
    /// # Ok((queue, backend))
    /// # }
    /// ```
    #[must_use]
    pub fn over(client: Client) -> Self {
        Self { client, wait: WAIT }
    }

    /// Sets how long a lease request waits for a job before it is repeated, in whole seconds, at most a minute.
    /// Default: 30 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use vocalizer_client::worker::{RemoteQueue, RemoteSettings};
    ///
    /// # fn main() -> Result<(), vocalizer_client::Error> {
    /// let settings = RemoteSettings::new("http://127.0.0.1:8000", "4f1c");
    /// // The proxy in front of the server ends requests after 20 s.
    /// let queue = RemoteQueue::new(&settings)?.with_wait(Duration::from_secs(15));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait: Duration::from_secs(wait.min(MAX_JOB_WAIT).as_secs()), ..self }
    }

    async fn request_job(&self, models: Option<&str>) -> Result<Option<JobView>, Error> {
        let mut fields = json!({"wait_s": self.wait.as_secs()});
        if let Some(models) = models {
            fields["models"] = json!(models);
        }
        let report = self.client.report("jobs/lease", Some(&fields))?;
        let timeout = self.wait.saturating_add(self.client.settings.timeout);
        self.client.call_unbounded::<JobData>(report.timeout(timeout)).await.map(|data| data.job)
    }
}

fn unavailable(error: Error) -> QueueError {
    QueueError::Unavailable(cause(error))
}

fn unsupported<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("not supported by a remote queue; only the backend can do this".into()))
}

#[async_trait]
impl JobQueue for RemoteQueue {
    async fn publish(&self, _: Job) -> Result<(), QueueError> {
        unsupported()
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.lease_for(&Capabilities::default()).await
    }

    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        let models = capabilities.models();
        let models = models.map(|all| all.iter().map(ModelName::as_str).collect::<Vec<_>>().join(","));
        loop {
            let start = Instant::now();
            if let Some(job) = self.request_job(models.as_deref()).await.map_err(unavailable)? {
                let lease = RemoteLease::new(self.client.clone(), job, models.clone()).map_err(unavailable)?;
                return Ok(Box::new(lease));
            }
            if start.elapsed() < PAUSE {
                sleep(jittered(PAUSE)).await;
            }
        }
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        unsupported()
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        unsupported()
    }
}

struct RemoteLease {
    client: Client,
    id: LeaseId,
    job: Job,
    attempt: u32,
    visibility: Duration,
    /// The worker's models, which each extension repeats.
    models: Option<String>,
}

impl RemoteLease {
    fn new(client: Client, view: JobView, models: Option<String>) -> Result<Self, Error> {
        let JobView { lease, hash, attempt, visibility_ms, model, result, traceparent, published_at_ms, .. } = view;
        let parsed = |hash: String| hash.parse().map_err(|error: ParseHashError| Error::malformed(200, error));
        let hash = parsed(hash)?;
        let key = result.map_or(Ok(hash), parsed)?;
        let model = model.map(|model| model.parse()).transpose();
        let model = model.map_err(|error: InvalidModelName| Error::malformed(200, error))?;
        // An invalid trace must not cost a song its job.
        let trace = traceparent.and_then(|parent| parent.parse().ok());
        let trace = trace.map(|parent| JobTrace { parent, published_at_ms });
        let job = Job { model, key, trace, ..Job::new(hash, JobPayload::Stored) };
        Ok(Self { client, id: lease, job, attempt, visibility: Duration::from_millis(visibility_ms), models })
    }

    fn path(&self, what: &str) -> String {
        format!("jobs/{}/{what}", self.id)
    }

    /// Settles the lease. It retries if there was no response, because any response means that the lease is settled or
    /// lost. It also retries token errors for a while: the token may be corrected, and an expired lease costs the song
    /// an attempt.
    async fn settle(&self, what: &str, fields: Option<&Value>) -> Result<(), QueueError> {
        let mut retry = self.client.retries();
        let until = Instant::now() + self.visibility.min(MAX_TOKEN_RETRY) / 2;
        loop {
            let report = self.client.report(&self.path(what), fields).map_err(unavailable)?;
            let error = match self.client.call::<IgnoredAny>(report).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let pause = match &error {
                // The server may have settled it before the connection failed; repeating that is harmless.
                Error::Transport(_) | Error::TimedOut => retry.next_pause(Duration::ZERO),
                _ if matches!(status(&error), Some(401 | 403)) => (Instant::now() < until).then(|| jittered(PAUSE)),
                _ => None,
            };
            let Some(pause) = pause else { return Err(lease_error(error)) };
            sleep(pause).await;
        }
    }
}

fn lease_error(error: Error) -> QueueError {
    if status(&error) == Some(409) { QueueError::LeaseLost } else { unavailable(error) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.min(MAX_JOB_DELAY).as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Lease for RemoteLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn visibility(&self) -> Duration {
        self.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        let mut path = self.path("extend");
        if let Some(models) = &self.models {
            path = format!("{path}?models={models}");
        }
        let report = self.client.report(&path, None).map_err(unavailable)?;
        // Shorter than the lease, so that there is time for another attempt before it expires.
        let timeout = self.client.settings.timeout.min(self.visibility / 4);
        let result = self.client.call_unbounded::<IgnoredAny>(report.timeout(timeout)).await;
        result.map(drop).map_err(lease_error)
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle("acknowledge", None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        let fields = match failure {
            Failure::Retry { after } => json!({"kind": "retry", "after_ms": millis(after)}),
            Failure::Later { after } => json!({"kind": "later", "after_ms": millis(after)}),
            Failure::Never { reason } => json!({"kind": "never", "reason": reason.as_str()}),
        };
        self.settle("fail", Some(&fields)).await
    }
}
