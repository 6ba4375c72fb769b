//! The queue, as the backend gives jobs out over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use vocalizer_core::api::{JobData, JobView, MAX_JOB_DELAY, MAX_JOB_WAIT};
use vocalizer_core::ports::{DeadLetter, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::service::LeaseId;
use vocalizer_core::song::SongHash;

use super::RemoteSettings;
use super::calls::{cause, status};
use crate::retry::jittered;
use crate::{Client, Error};

/// How long the backend is asked to wait for a job. Proxies cut off what is silent for a minute.
const WAIT: Duration = Duration::from_secs(30);

/// How long to pause where the backend says at once that there is nothing, as one does that is about to stop.
const PAUSE: Duration = Duration::from_secs(1);

/// A lease whose settlement is refused for want of a token is not held on to for more than half of this.
const LONGEST_REFUSAL: Duration = Duration::from_secs(60);

/// The leasing side of core's [`JobQueue`], for a worker that is elsewhere.
///
/// Jobs come without their songs, which [`RemoteBackend`](super::RemoteBackend) fetches. Publishing, and looking at the
/// queue as a whole, are the backend's: here they are [`QueueError::Unavailable`].
///
/// A lease that is dropped goes back when it runs out. One whose settlement was answered and the answer lost is
/// [`QueueError::LeaseLost`] all the same when it is said again.
#[derive(Debug, Clone)]
pub struct RemoteQueue {
    client: Client,
    wait: Duration,
}

impl RemoteQueue {
    /// The queue of the backend at an address.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Setup`].
    pub fn new(settings: RemoteSettings) -> Result<Self, Error> {
        Ok(Self::over(settings.client()?))
    }

    /// The same over a client that was set up in more detail, with the worker's token as
    /// [its token](crate::ClientBuilder::with_token).
    #[must_use]
    pub fn over(client: Client) -> Self {
        Self { client, wait: WAIT }
    }

    /// How long the backend is asked to wait for a job before it is asked anew, in whole seconds and at most a minute.
    /// Default: 30 s.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait: Duration::from_secs(wait.min(MAX_JOB_WAIT).as_secs()), ..self }
    }

    async fn ask(&self) -> Result<Option<JobView>, Error> {
        let report = self.client.report("jobs/lease", Some(&json!({"wait_s": self.wait.as_secs()})))?;
        let patience = self.wait.saturating_add(self.client.settings.timeout);
        self.client.call_unbounded::<JobData>(report.timeout(patience)).await.map(|data| data.job)
    }
}

fn unavailable(error: Error) -> QueueError {
    QueueError::Unavailable(cause(error))
}

fn elsewhere<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("jobs are published by the backend".into()))
}

#[async_trait]
impl JobQueue for RemoteQueue {
    async fn publish(&self, _: Job) -> Result<(), QueueError> {
        elsewhere()
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        loop {
            let asked = Instant::now();
            if let Some(job) = self.ask().await.map_err(unavailable)? {
                let lease = RemoteLease::new(self.client.clone(), job).map_err(unavailable)?;
                return Ok(Box::new(lease));
            }
            if asked.elapsed() < PAUSE {
                sleep(jittered(PAUSE)).await;
            }
        }
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        elsewhere()
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        elsewhere()
    }

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        elsewhere()
    }
}

struct RemoteLease {
    client: Client,
    id: LeaseId,
    job: Job,
    attempt: u32,
    visibility: Duration,
}

impl RemoteLease {
    fn new(client: Client, view: JobView) -> Result<Self, Error> {
        let JobView { lease, hash, attempt, visibility_ms } = view;
        let hash = hash.parse().map_err(|error: vocalizer_core::song::ParseHashError| Error::malformed(200, error))?;
        let job = Job { hash, payload: JobPayload::Stored };
        Ok(Self { client, id: lease, job, attempt, visibility: Duration::from_millis(visibility_ms) })
    }

    fn path(&self, what: &str) -> String {
        format!("jobs/{}/{what}", self.id)
    }

    /// Again only where no answer came: whatever it says, with an answer the lease is settled or lost. But a token that is
    /// refused may be put right in time, and a lease that runs out instead costs the song an attempt.
    async fn settle(&self, what: &str, fields: Option<&Value>) -> Result<(), QueueError> {
        let mut retry = self.client.retries();
        let until = Instant::now() + self.visibility.min(LONGEST_REFUSAL) / 2;
        loop {
            let report = self.client.report(&self.path(what), fields).map_err(unavailable)?;
            let error = match self.client.call::<IgnoredAny>(report).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let pause = match &error {
                // The server may have settled it before the connection was cut: to say so again changes nothing.
                Error::Transport(_) | Error::TimedOut => retry.again(Duration::ZERO),
                _ if matches!(status(&error), Some(401 | 403)) => (Instant::now() < until).then(|| jittered(PAUSE)),
                _ => None,
            };
            let Some(pause) = pause else { return Err(lost(error)) };
            sleep(pause).await;
        }
    }
}

fn lost(error: Error) -> QueueError {
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
        let report = self.client.report(&self.path("extend"), None).map_err(unavailable)?;
        // Whoever extends waits meanwhile, and has to come again before the lease runs out.
        let patience = self.client.settings.timeout.min(self.visibility / 4);
        let said = self.client.call_unbounded::<IgnoredAny>(report.timeout(patience)).await;
        said.map(drop).map_err(lost)
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
