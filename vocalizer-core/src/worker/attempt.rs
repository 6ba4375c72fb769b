//! One attempt at one job.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};

use super::lease::{HeldLease, Lost};
use super::run::{Stop, Worker};
use super::source::ReadWatch;
use super::trouble::Trouble;
use crate::causes::chain;
use crate::ports::{AudioError, BackendError, Blob, Failure, Job, JobPayload, Progress, QueueError, StemSet, Wanted};
use crate::song::{FailureReason, SongHash};
use crate::trace::{Kind, NewSpan, TraceContext, Traced};

/// The failure reason of a song whose stored bytes do not match its hash.
pub(crate) const DAMAGED: &str = "its file is damaged on the server; upload it again";

/// Delivery attempts before the job is handed back.
const MAX_DELIVERIES: u32 = 5;

/// When another worker gets a job whose model this one lacks.
const OTHER_MODEL_PAUSE: Duration = Duration::from_secs(30);

/// Why an attempt ended without a delivered result.
enum Ended {
    /// The lease ran out: another worker may have the job.
    Lost,
    /// The song was deleted, or another worker has finished it.
    NotWanted,
    /// Separation failed, because of the song or the machine.
    Audio(AudioError),
    /// The bytes received do not match the song's hash.
    Damaged,
    /// Separation exceeded its time limit.
    TimedOut,
    /// The backend was unavailable before the work began.
    Unavailable(BackendError),
    /// A later backend call failed.
    Backend(BackendError),
    /// The worker is shutting down.
    Stopped,
}

impl From<Lost> for Ended {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

/// Progress as the separating thread reports it.
#[derive(Default)]
struct Percent(AtomicU8);

impl Progress for Percent {
    fn report(&self, percent: u8) {
        self.0.fetch_max(percent, Ordering::Relaxed);
    }
}

impl Worker {
    /// Processes a job and settles it. Returns the problem if the job is not done and other jobs might hit the same
    /// one.
    pub(super) async fn work(&self, lease: Box<dyn crate::ports::Lease>, stop: &mut Stop<'_>) -> Option<Trouble> {
        let (job, attempt) = (lease.job(), lease.attempt());
        let parent = job.trace.map(|trace| trace.parent);
        // Later attempts have waited for something else too.
        if let Some(parent) = parent.filter(|_| attempt <= 1) {
            record_wait(parent, job.trace.and_then(|trace| trace.published_at_ms));
        }
        let attributes = vec![("messaging.operation.type", "process".to_owned())];
        let make = |trace_id| tracing::info_span!("lease", hash = %job.key, attempt, trace_id);
        let leased = Traced::child_of(parent, Kind::Consumer, attributes, make);
        leased.run(self.work_on(lease, stop)).await
    }

    async fn work_on(&self, lease: Box<dyn crate::ports::Lease>, stop: &mut Stop<'_>) -> Option<Trouble> {
        let hash = lease.job().key;
        let attempt = lease.attempt();
        let mut held = HeldLease::new(lease, self.ports().clock.as_ref());
        // A queue that cannot select jobs may deliver one of another model, for example after the default changed.
        if !self.takes(held.lease.job()) {
            tracing::warn!(%hash, "job handed back: this worker does not have its model");
            log_unsettled(hash, held.lease.fail(Failure::Later { after: OTHER_MODEL_PAUSE }).await);
            return None;
        }
        // A job that kills its workers is never settled; only its attempt count shows it.
        if attempt > self.settings().max_attempts {
            let tries = self.settings().max_attempts;
            let reason = format!("tried {tries} times; each time its worker died or lost its lease");
            return self.settle_failure(held, hash, &FailureReason::new(&reason)).await;
        }
        tracing::info!(%hash, model = held.lease.job().model.map(tracing::field::display), attempt, "job started");
        match self.attempt(&mut held, stop).await {
            Err(Ended::Lost) => tracing::warn!(%hash, "lease lost; job abandoned"),
            Ok(()) => {
                self.counts().count_done();
                log_unsettled(hash, held.lease.acknowledge().await);
            }
            Err(Ended::NotWanted) => {
                tracing::info!(%hash, "job no longer wanted");
                log_unsettled(hash, held.lease.acknowledge().await);
            }
            Err(Ended::Audio(error)) if error.is_permanent() => {
                return self.settle_failure(held, hash, &FailureReason::new(&error.to_string())).await;
            }
            Err(Ended::Damaged) => return self.settle_failure(held, hash, &FailureReason::new(DAMAGED)).await,
            Err(Ended::Audio(error @ AudioError::Full)) => return self.cannot_work(held, hash, &error).await,
            Err(Ended::Audio(error)) => return self.retry(held, hash, attempt, &error).await,
            Err(Ended::TimedOut) => {
                let error = AudioError::Failed("separation timed out".into());
                return self.retry(held, hash, attempt, &error).await;
            }
            Err(Ended::Backend(error @ BackendError::Refused { .. })) => {
                return self.retry(held, hash, attempt, &error).await;
            }
            Err(Ended::Backend(error)) => return self.postpone(held, hash, attempt, &error).await,
            Err(Ended::Unavailable(error)) => return self.cannot_work(held, hash, &error).await,
            Err(Ended::Stopped) => {
                tracing::info!(%hash, "job handed back; worker is shutting down");
                self.hand_back(held, hash, Failure::Later { after: Duration::ZERO }).await;
            }
        }
        None
    }

    async fn attempt(&self, held: &mut HeldLease<'_>, stop: &mut Stop<'_>) -> Result<(), Ended> {
        let job = held.lease.job().clone();
        let backend = &self.ports().backend;
        match unless_stopped(stop, held.keep_during(backend.begin(&job.key))).await? {
            Ok(Wanted::Yes) => {}
            Ok(Wanted::Done | Wanted::Gone) => return Err(Ended::NotWanted),
            Err(error @ BackendError::Unavailable(_)) => return Err(Ended::Unavailable(error)),
            Err(error) => return Err(Ended::Backend(error)),
        }
        let began = self.ports().clock.elapsed();
        let model = job.model.map(tracing::field::display);
        let splitting = Traced::new(Kind::Internal, || tracing::info_span!("split", model));
        let separated = splitting.run(self.separate(&job, held, stop)).await;
        self.counts().busy(self.ports().clock.elapsed().saturating_sub(began));
        let stems = separated?;
        self.counts().split(stems.duration().unwrap_or_default());
        let delivering = Traced::new(Kind::Client, || tracing::info_span!("deliver"));
        unless_stopped(stop, delivering.run(self.deliver(&job.key, stems.as_ref(), held))).await
    }

    async fn separate(
        &self,
        job: &Job,
        held: &mut HeldLease<'_>,
        stop: &mut Stop<'_>,
    ) -> Result<Box<dyn StemSet>, Ended> {
        let (ports, settings) = (self.ports(), self.settings());
        let song = match &job.payload {
            JobPayload::Inline(bytes) => Blob::from(bytes.clone()),
            JobPayload::Stored | JobPayload::Claim(_) => {
                match unless_stopped(stop, held.keep_during(ports.backend.source(job))).await? {
                    Ok(Some(song)) => song,
                    Ok(None) => return Err(Ended::NotWanted),
                    Err(error) => return Err(Ended::Backend(error)),
                }
            }
        };
        let percent = Arc::new(Percent::default());
        let (began, mut reported) = (ports.clock.elapsed(), 0);
        let progress: Arc<dyn Progress> = Arc::clone(&percent) as _;
        let read = ReadWatch::default();
        // Dropping the future cancels the separation.
        let mut work = ports.separator.separate_with(job.model, read.watch(song), progress);
        loop {
            let beat = ports.clock.sleep(settings.heartbeat);
            match select(work.as_mut(), select(beat, stop.grace_over())).await {
                Either::Left((Err(_), _)) if read.is_damaged() => return Err(Ended::Damaged),
                Either::Left((Err(error), _)) if read.failed() => {
                    return Err(Ended::Backend(BackendError::Unavailable(error.into())));
                }
                Either::Left((separated, _)) => return separated.map_err(Ended::Audio),
                Either::Right((Either::Right(_), _)) => return Err(Ended::Stopped),
                Either::Right((Either::Left(_), _)) => {}
            }
            held.keep().await?;
            if ports.clock.elapsed().saturating_sub(began) > settings.max_separation {
                return Err(Ended::TimedOut);
            }
            // Reported even if unchanged: the response says whether the song is still wanted.
            reported = percent.0.load(Ordering::Relaxed).max(reported);
            match held.keep_during(ports.backend.progress(&job.key, reported)).await? {
                Ok(Wanted::Yes) => {}
                Ok(Wanted::Done | Wanted::Gone) => return Err(Ended::NotWanted),
                Err(error) => tracing::debug!(hash = %job.key, error = %chain(&error), "reporting progress failed"),
            }
        }
    }

    /// Delivers the result and retries while the backend is unavailable, so that an outage does not waste finished
    /// work.
    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet, held: &mut HeldLease<'_>) -> Result<(), Ended> {
        let mut tries = 0;
        loop {
            tries += 1;
            match held.keep_during(self.ports().backend.deliver(hash, stems)).await? {
                Ok(Wanted::Gone) => return Err(Ended::NotWanted),
                Ok(Wanted::Yes | Wanted::Done) => return Ok(()),
                Err(error @ BackendError::Unavailable(_)) if tries < MAX_DELIVERIES => {
                    tracing::warn!(%hash, error = %chain(&error), tries, "delivering the result failed; retrying");
                    held.keep_during(self.ports().clock.sleep(self.pause(tries))).await?;
                }
                Err(error) => return Err(Ended::Backend(error)),
            }
        }
    }

    /// Schedules another attempt, or fails the song if this was the last.
    async fn retry(
        &self,
        held: HeldLease<'_>,
        hash: SongHash,
        attempt: u32,
        error: &(dyn std::error::Error + Sync),
    ) -> Option<Trouble> {
        let why = chain(error);
        tracing::warn!(%hash, attempt, error = %why, "attempt failed");
        if attempt >= self.settings().max_attempts {
            let reason = format!("tried {attempt} times; last error: {error}");
            let trouble = self.settle_failure(held, hash, &FailureReason::new(&reason)).await;
            return trouble.or(Some(Trouble::Song(hash)));
        }
        self.counts().count_retried();
        self.hand_back(held, hash, Failure::Retry { after: self.pause(attempt) }).await;
        Some(Trouble::Song(hash))
    }

    /// Postpones the job because of an external problem. The attempt does not count.
    async fn postpone(
        &self,
        held: HeldLease<'_>,
        hash: SongHash,
        attempt: u32,
        error: &(dyn std::error::Error + Sync),
    ) -> Option<Trouble> {
        tracing::warn!(%hash, error = %chain(error), "job postponed");
        self.counts().count_retried();
        self.hand_back(held, hash, Failure::Later { after: self.pause(attempt.saturating_add(2)) }).await;
        Some(Trouble::Song(hash))
    }

    /// Hands the job back at once because this worker cannot work. The attempt does not count.
    async fn cannot_work(
        &self,
        held: HeldLease<'_>,
        hash: SongHash,
        error: &(dyn std::error::Error + Sync),
    ) -> Option<Trouble> {
        tracing::warn!(%hash, error = %chain(error), "job handed back; worker cannot process jobs");
        self.counts().count_retried();
        self.hand_back(held, hash, Failure::Later { after: Duration::ZERO }).await;
        Some(Trouble::Worker)
    }

    async fn hand_back(&self, held: HeldLease<'_>, hash: SongHash, failure: Failure) {
        // The song first: once the job is back on the queue, another worker may begin it.
        if let Err(error) = self.ports().backend.hand_back(&hash).await {
            tracing::warn!(%hash, error = %chain(&error), "handing back the song failed");
        }
        log_unsettled(hash, held.lease.fail(failure).await);
    }

    /// Fails the song, then settles the job. In this order a redelivered job finds the song failed; the other way round
    /// the failure could be lost.
    async fn settle_failure(&self, held: HeldLease<'_>, hash: SongHash, reason: &FailureReason) -> Option<Trouble> {
        match self.ports().backend.fail(&hash, reason).await {
            Ok(()) => {
                self.counts().count_failed();
                log_unsettled(hash, held.lease.fail(Failure::Never { reason: reason.clone() }).await);
                None
            }
            Err(error) => {
                tracing::warn!(%hash, error = %chain(&error), "reporting the song's failure failed; job postponed");
                log_unsettled(hash, held.lease.fail(Failure::Later { after: self.pause(3) }).await);
                Some(if matches!(error, BackendError::Refused { .. }) { Trouble::Song(hash) } else { Trouble::Worker })
            }
        }
    }
}

/// Records how long the job waited in the queue, by the clocks of the server and of this machine.
fn record_wait(parent: TraceContext, published_at_ms: Option<i64>) {
    let Some(since_ms) = published_at_ms.and_then(|ms| u64::try_from(ms).ok()) else { return };
    let new = NewSpan {
        context: parent.child(),
        parent: Some(parent),
        kind: Kind::Internal,
        name: None,
        began: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since_ms)),
        attributes: Vec::new(),
    };
    let _ = Traced::of(new, |_| tracing::info_span!("wait"));
}

/// Runs `work` unless the grace period ends first.
async fn unless_stopped<T, E: Into<Ended>>(
    stop: &mut Stop<'_>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Ended> {
    match select(pin!(work), stop.grace_over()).await {
        Either::Left((done, _)) => done.map_err(E::into),
        Either::Right(_) => Err(Ended::Stopped),
    }
}

fn log_unsettled(hash: SongHash, result: Result<(), QueueError>) {
    if let Err(error) = result {
        tracing::warn!(%hash, error = %chain(&error), "settling the job failed; it will be redelivered");
    }
}
