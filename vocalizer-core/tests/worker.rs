//! Tests of a worker's error handling.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_listener::Event;
use futures_util::{FutureExt, stream};
use vocalizer_core::memory::ManualClock;
use vocalizer_core::ports::{
    AudioError, Backend, BackendError, Blob, BlobError, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease,
    Progress, QueueError, Separator, StemSet, Wanted,
};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_core::worker::{Worker, WorkerSettings};

/// A queue with one job at its last attempt, and a backend that interrupts the download of its song.
#[derive(Clone, Default)]
struct Fixture {
    /// The number of `lease` calls.
    lease_calls: Arc<AtomicU32>,
    settled: Arc<Mutex<Vec<Option<Failure>>>>,
    failed: Arc<Mutex<Vec<FailureReason>>>,
    /// Whether the downloaded bytes are damaged.
    is_damaged: bool,
    /// Whether the backend never responds.
    is_stuck: bool,
    /// Notified before the separation fails.
    failing: Arc<Event>,
}

struct LastAttempt(Job, Fixture);

#[async_trait]
impl JobQueue for Fixture {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.lease_calls.fetch_add(1, Ordering::Relaxed);
        if !self.settled.lock().unwrap().is_empty() {
            pending::<()>().await;
        }
        let job = Job::new(SongHash::of(b"a song"), JobPayload::Stored);
        Ok(Box::new(LastAttempt(job, self.clone())))
    }

    async fn state(&self, _hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
}

#[async_trait]
impl Lease for LastAttempt {
    fn job(&self) -> &Job {
        &self.0
    }

    fn attempt(&self) -> u32 {
        WorkerSettings::default().max_attempts
    }

    fn visibility(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.1.settled.lock().unwrap().push(None);
        Ok(())
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.1.settled.lock().unwrap().push(Some(failure));
        Ok(())
    }
}

#[async_trait]
impl Backend for Fixture {
    async fn begin(&self, _hash: &SongHash) -> Result<Wanted, BackendError> {
        Ok(Wanted::Yes)
    }

    async fn source(&self, _job: &Job) -> Result<Option<Blob>, BackendError> {
        if self.is_stuck {
            pending::<()>().await;
        }
        let error = match self.is_damaged {
            true => BlobError::Damaged,
            false => BlobError::Unavailable("the connection was reset".into()),
        };
        Ok(Some(Blob::new(1000, "", stream::iter([Err(error)]))))
    }

    async fn progress(&self, _hash: &SongHash, _percent: u8) -> Result<Wanted, BackendError> {
        Ok(Wanted::Yes)
    }

    async fn deliver(&self, _hash: &SongHash, _stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        Ok(Wanted::Yes)
    }

    async fn hand_back(&self, _hash: &SongHash) -> Result<(), BackendError> {
        Ok(())
    }

    async fn fail(&self, _hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError> {
        self.failed.lock().unwrap().push(reason.clone());
        Ok(())
    }
}

#[async_trait]
impl Separator for Fixture {
    async fn separate(&self, mut song: Blob, _progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        let read = song.next_chunk().await;
        self.failing.notify(1);
        Err(AudioError::Failed(read.unwrap_err().into()))
    }
}

fn worker(fixture: &Fixture, clock: &Arc<ManualClock>) -> Worker {
    Worker::builder_with_clock(
        Arc::new(fixture.clone()),
        Arc::new(fixture.clone()),
        Arc::new(fixture.clone()),
        Arc::clone(clock) as _,
    )
    .build()
}

/// Found by the simulation: three server restarts during downloads made the song fail permanently.
#[test]
fn interrupted_download_counts_no_attempt() {
    let fixture = Fixture::default();
    let worker = worker(&fixture, &Arc::new(ManualClock::new()));
    // The worker runs until there are no more jobs, then waits.
    assert!(worker.run(pending()).now_or_never().is_none());
    assert!(fixture.failed.lock().unwrap().is_empty(), "{:?}", fixture.failed);
    let settled = fixture.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Later { .. })]), "{settled:?}");
}

#[test]
fn damaged_source_fails_song_without_retry() {
    let fixture = Fixture { is_damaged: true, ..Fixture::default() };
    assert!(worker(&fixture, &Arc::new(ManualClock::new())).run(pending()).now_or_never().is_none());
    let failed = fixture.failed.lock().unwrap().clone();
    assert!(failed.len() == 1 && failed[0].to_string().contains("damaged on the server"), "{failed:?}");
    let settled = fixture.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Never { .. })]), "{settled:?}");
}

#[test]
fn shutdown_does_not_wait_for_hanging_backend() {
    let (fixture, clock) = (Fixture { is_stuck: true, ..Fixture::default() }, Arc::new(ManualClock::new()));
    let (worker, stop) = (worker(&fixture, &clock), Event::new());
    let mut running = Box::pin(worker.run(stop.listen()));
    assert!(running.as_mut().now_or_never().is_none());
    stop.notify(1);
    assert!(running.as_mut().now_or_never().is_none(), "the worker waits for the grace period");
    clock.advance(WorkerSettings::default().grace);
    assert!(running.now_or_never().is_some());
    let settled = fixture.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Later { after: Duration::ZERO })]), "{settled:?}");
}

/// Over HTTP, a job whose response is dropped is unavailable until its lease expires.
#[test]
fn stopping_worker_leases_no_other_job() {
    let fixture = Fixture::default();
    let stop = fixture.failing.listen();
    assert!(worker(&fixture, &Arc::new(ManualClock::new())).run(stop).now_or_never().is_some());
    assert_eq!(fixture.settled.lock().unwrap().len(), 1);
    assert_eq!(fixture.lease_calls.load(Ordering::Relaxed), 1);
}
