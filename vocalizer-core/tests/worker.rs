//! What a worker makes of what goes wrong.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_listener::Event;
use futures_util::{FutureExt, stream};
use vocalizer_core::memory::ManualClock;
use vocalizer_core::ports::{
    AudioError, Backend, BackendError, Blob, BlobError, DeadLetter, Depth, Failure, Job, JobPayload, JobQueue,
    JobState, Lease, Progress, QueueError, Separator, StemSet, Wanted,
};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};

/// A queue with one job, which is at its last attempt, and a backend that breaks off the bytes of its song.
#[derive(Clone, Default)]
struct Place {
    /// How often a job was asked for.
    asked: Arc<AtomicU32>,
    settled: Arc<Mutex<Vec<Option<Failure>>>>,
    failed: Arc<Mutex<Vec<FailureReason>>>,
    /// Whether the bytes come, and are another song's.
    is_damaged: bool,
    /// Whether the backend takes for ever to answer.
    is_stuck: bool,
    /// Told before a song fails to be split.
    failing: Arc<Event>,
}

struct LastAttempt(Job, Place);

#[async_trait]
impl JobQueue for Place {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.settled.lock().unwrap().is_empty() {
            pending::<()>().await;
        }
        let job = Job { hash: SongHash::of(b"a song"), payload: JobPayload::Stored };
        Ok(Box::new(LastAttempt(job, self.clone())))
    }

    async fn state(&self, _hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }

    async fn dead_letters(&self, _limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
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
impl Backend for Place {
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
impl Separator for Place {
    async fn separate(&self, mut song: Blob, _progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        let read = song.next_chunk().await;
        self.failing.notify(1);
        Err(AudioError::Failed(read.unwrap_err().into()))
    }
}

fn worker(place: &Place, clock: &Arc<ManualClock>) -> Worker {
    let ports = WorkerPorts {
        queue: Arc::new(place.clone()),
        backend: Arc::new(place.clone()),
        separator: Arc::new(place.clone()),
        clock: Arc::clone(clock) as _,
    };
    Worker::new(ports, WorkerSettings::default())
}

/// Found by the simulation: a server that was restarted three times while a song was fetched failed the song for good.
#[test]
fn a_song_whose_bytes_stop_coming_has_not_spent_an_attempt() {
    let place = Place::default();
    let worker = worker(&place, &Arc::new(ManualClock::new()));
    // It runs until there is no job any more, and waits for the next then.
    assert!(worker.run(pending()).now_or_never().is_none());
    assert!(place.failed.lock().unwrap().is_empty(), "{:?}", place.failed);
    let settled = place.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Later { .. })]), "{settled:?}");
}

#[test]
fn a_song_whose_bytes_are_another_song_s_fails_and_is_not_fetched_for_ever() {
    let place = Place { is_damaged: true, ..Place::default() };
    assert!(worker(&place, &Arc::new(ManualClock::new())).run(pending()).now_or_never().is_none());
    let failed = place.failed.lock().unwrap().clone();
    assert!(failed.len() == 1 && failed[0].to_string().contains("damaged on the server"), "{failed:?}");
    let settled = place.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Never { .. })]), "{settled:?}");
}

#[test]
fn a_worker_that_must_stop_does_not_wait_for_a_backend_that_does_not_answer() {
    let (place, clock) = (Place { is_stuck: true, ..Place::default() }, Arc::new(ManualClock::new()));
    let (worker, stop) = (worker(&place, &clock), Event::new());
    let mut running = Box::pin(worker.run(stop.listen()));
    assert!(running.as_mut().now_or_never().is_none());
    stop.notify(1);
    assert!(running.as_mut().now_or_never().is_none(), "there is the grace");
    clock.advance(WorkerSettings::default().grace);
    assert!(running.now_or_never().is_some());
    let settled = place.settled.lock().unwrap().clone();
    assert!(matches!(settled[..], [Some(Failure::Later { after: Duration::ZERO })]), "{settled:?}");
}

/// Over HTTP the next job may be on its way by the time that its answer is dropped, and is nobody's until its lease runs out.
#[test]
fn a_worker_that_must_stop_asks_for_no_other_job() {
    let place = Place::default();
    let stop = place.failing.listen();
    assert!(worker(&place, &Arc::new(ManualClock::new())).run(stop).now_or_never().is_some());
    assert_eq!(place.settled.lock().unwrap().len(), 1);
    assert_eq!(place.asked.load(Ordering::Relaxed), 1);
}
