//! A worker that cannot work leaves the jobs to others.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, stream};
use vocalizer_core::memory::ManualClock;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{
    AudioError, Backend, BackendError, Blob, BlobError, DeadLetter, Depth, Failure, Job, JobPayload, JobQueue,
    JobState, Lease, Progress, QueueError, Separator, StemSet, Stems, Wanted,
};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// The queue gives no job.
    QueueRefuses,
    /// The backend does not know the worker.
    BackendRefuses,
    /// The work folder is full.
    Full,
    /// The bytes of songs stop coming.
    BytesStop,
}

#[derive(Clone)]
struct Place(Arc<Mutex<State>>);

struct State {
    fault: Fault,
    waiting: VecDeque<SongHash>,
    settled: Vec<Option<Failure>>,
}

impl Place {
    fn new(fault: Fault, songs: impl IntoIterator<Item = u8>) -> Self {
        let waiting = songs.into_iter().map(|song| SongHash::of(&[song])).collect();
        Self(Arc::new(Mutex::new(State { fault, waiting, settled: Vec::new() })))
    }

    fn mend(&self) {
        self.0.lock().unwrap().fault = Fault::None;
    }

    fn is(&self, fault: Fault) -> bool {
        self.0.lock().unwrap().fault == fault
    }

    fn settled(&self) -> Vec<Option<Failure>> {
        self.0.lock().unwrap().settled.clone()
    }
}

fn unavailable() -> BackendError {
    BackendError::Unavailable("the token is wrong".into())
}

struct Leased(Job, Place);

#[async_trait]
impl JobQueue for Place {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        if self.is(Fault::QueueRefuses) {
            self.0.lock().unwrap().settled.push(None);
            return Err(QueueError::Unavailable("access refused".into()));
        }
        let next = self.0.lock().unwrap().waiting.pop_front();
        let Some(hash) = next else { return pending().await };
        Ok(Box::new(Leased(Job { hash, payload: JobPayload::Stored }, self.clone())))
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
impl Lease for Leased {
    fn job(&self) -> &Job {
        &self.0
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn visibility(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.1.0.lock().unwrap().settled.push(None);
        Ok(())
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.1.0.lock().unwrap().settled.push(Some(failure));
        Ok(())
    }
}

#[async_trait]
impl Backend for Place {
    async fn begin(&self, _hash: &SongHash) -> Result<Wanted, BackendError> {
        if self.is(Fault::BackendRefuses) { Err(unavailable()) } else { Ok(Wanted::Yes) }
    }

    async fn source(&self, _job: &Job) -> Result<Option<Blob>, BackendError> {
        if self.is(Fault::BytesStop) {
            let error = BlobError::Unavailable("the connection was reset".into());
            return Ok(Some(Blob::new(1000, "", stream::iter([Err(error)]))));
        }
        Ok(Some(Blob::from(bytes::Bytes::from_static(b"a song"))))
    }

    async fn progress(&self, _hash: &SongHash, _percent: u8) -> Result<Wanted, BackendError> {
        Ok(Wanted::Yes)
    }

    async fn deliver(&self, _hash: &SongHash, _stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        Ok(Wanted::Yes)
    }

    async fn hand_back(&self, _hash: &SongHash) -> Result<(), BackendError> {
        if self.is(Fault::BackendRefuses) { Err(unavailable()) } else { Ok(()) }
    }

    async fn fail(&self, _hash: &SongHash, _reason: &FailureReason) -> Result<(), BackendError> {
        panic!("no song fails here")
    }
}

#[async_trait]
impl Separator for Place {
    async fn separate(&self, mut song: Blob, _progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        if self.is(Fault::Full) {
            return Err(AudioError::Full);
        }
        while song.next_chunk().await.map_err(|error| AudioError::Failed(error.into()))?.is_some() {}
        let made = |stem: Stem| bytes::Bytes::from(stem.to_string());
        let [drums, bass, other, vocals] = [Stem::Drums, Stem::Bass, Stem::Other, Stem::Vocals].map(made);
        Ok(Box::new(Stems { drums, bass, other, vocals }))
    }
}

/// A worker at work, whose pauses are as long as they may be.
struct Working {
    clock: Arc<ManualClock>,
    worker: Worker,
    run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Working {
    fn new(place: &Place) -> Self {
        let clock = Arc::new(ManualClock::new());
        let ports = WorkerPorts {
            queue: Arc::new(place.clone()),
            backend: Arc::new(place.clone()),
            separator: Arc::new(place.clone()),
            clock: Arc::clone(&clock) as _,
        };
        let worker = Worker::new(ports, WorkerSettings::default()).with_chance(|| u16::MAX);
        let runs = worker.clone();
        let run = Box::pin(async move { runs.run(pending()).await });
        Self { clock, worker, run }
    }

    /// Lets it work until it waits for something, when so many seconds have passed.
    fn after_s(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        assert!(self.run.as_mut().now_or_never().is_none());
    }
}

#[test]
fn a_worker_that_cannot_work_takes_one_job_between_pauses_that_double_to_a_minute() {
    for fault in [Fault::BackendRefuses, Fault::Full, Fault::QueueRefuses] {
        let place = Place::new(fault, 0..60);
        let mut working = Working::new(&place);
        assert!(!working.worker.is_pausing());
        let mut taken = 0;
        for pause_s in [0, 5, 10, 20, 40, 60, 60, 60] {
            if pause_s > 0 {
                working.after_s(pause_s - 1);
                assert_eq!(place.settled().len(), taken, "{fault:?}: within the pause of {pause_s} s");
                working.after_s(1);
            } else {
                working.after_s(0);
            }
            taken += 1;
            assert_eq!(place.settled().len(), taken, "{fault:?}: after the pause of {pause_s} s");
            assert!(working.worker.is_pausing(), "{fault:?}");
        }
        if fault != Fault::QueueRefuses {
            let expected = vec![Some(Failure::Later { after: Duration::ZERO }); taken];
            assert_eq!(place.settled(), expected, "others take it at once, and it has lost no attempt");
        }
        // Once it is mended, the rest is done without a pause.
        place.mend();
        working.after_s(60);
        let jobs = if fault == Fault::QueueRefuses { 60 } else { 60 - taken };
        assert_eq!(place.settled().len(), taken + jobs, "{fault:?}");
        assert!(place.settled()[taken..].iter().all(Option::is_none), "{fault:?}");
        assert!(!working.worker.is_pausing(), "{fault:?}");
    }
}

#[test]
fn a_worker_counts_as_pausing_for_five_seconds_after_its_pause_where_no_job_comes() {
    let place = Place::new(Fault::BackendRefuses, 0..1);
    let mut working = Working::new(&place);
    working.after_s(0);
    place.mend();
    working.after_s(5);
    assert!(working.worker.is_pausing(), "it has shown nothing yet");
    working.after_s(5);
    assert!(!working.worker.is_pausing());
}

#[test]
fn one_song_that_cannot_be_fetched_does_not_keep_its_worker_from_others_for_longer_each_time() {
    let place = Place::new(Fault::BytesStop, [7; 20]);
    let mut working = Working::new(&place);
    working.after_s(0);
    for round in 1..=10 {
        assert_eq!(place.settled().len(), round);
        assert!(!working.worker.is_pausing(), "one song says nothing about the worker");
        working.after_s(5);
    }
    assert!(place.settled().iter().all(|settled| matches!(settled, Some(Failure::Later { .. }))));
}

#[test]
fn song_after_song_that_cannot_be_fetched_makes_a_worker_pause_longer_each_time() {
    let place = Place::new(Fault::BytesStop, 0..20);
    let mut working = Working::new(&place);
    working.after_s(0);
    assert!(!working.worker.is_pausing());
    for (round, pause_s) in [5, 10, 20, 40].into_iter().enumerate() {
        assert_eq!(place.settled().len(), round + 1);
        working.after_s(pause_s - 1);
        assert_eq!(place.settled().len(), round + 1, "within the pause of {pause_s} s");
        working.after_s(1);
        assert!(working.worker.is_pausing());
    }
}
