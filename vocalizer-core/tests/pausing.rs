//! Tests of workers that pause because of a fault and leave the jobs to others.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

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
    AudioError, Backend, BackendError, Blob, BlobError, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease,
    Progress, QueueError, Separator, StemSet, Stems, Wanted,
};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_core::worker::Worker;

/// The simulated fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// No fault.
    None,
    /// The queue refuses access.
    QueueUnavailable,
    /// The backend rejects the worker's token.
    BackendUnavailable,
    /// The work folder is full.
    Full,
    /// Downloads of songs are interrupted.
    DownloadBreaks,
}

#[derive(Clone)]
struct Fixture(Arc<Mutex<State>>);

struct State {
    fault: Fault,
    waiting: VecDeque<SongHash>,
    settled: Vec<Option<Failure>>,
}

impl Fixture {
    fn new(fault: Fault, songs: impl IntoIterator<Item = u8>) -> Self {
        let waiting = songs.into_iter().map(|song| SongHash::of(&[song])).collect();
        Self(Arc::new(Mutex::new(State { fault, waiting, settled: Vec::new() })))
    }

    fn repair(&self) {
        self.0.lock().unwrap().fault = Fault::None;
    }

    fn has(&self, fault: Fault) -> bool {
        self.0.lock().unwrap().fault == fault
    }

    fn settled(&self) -> Vec<Option<Failure>> {
        self.0.lock().unwrap().settled.clone()
    }
}

fn unavailable() -> BackendError {
    BackendError::Unavailable("invalid token".into())
}

struct Leased(Job, Fixture);

#[async_trait]
impl JobQueue for Fixture {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        if self.has(Fault::QueueUnavailable) {
            self.0.lock().unwrap().settled.push(None);
            return Err(QueueError::Unavailable("access refused".into()));
        }
        let next = self.0.lock().unwrap().waiting.pop_front();
        let Some(hash) = next else { return pending().await };
        Ok(Box::new(Leased(Job::new(hash, JobPayload::Stored), self.clone())))
    }

    async fn state(&self, _hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
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
impl Backend for Fixture {
    async fn begin(&self, _hash: &SongHash) -> Result<Wanted, BackendError> {
        if self.has(Fault::BackendUnavailable) { Err(unavailable()) } else { Ok(Wanted::Yes) }
    }

    async fn source(&self, _job: &Job) -> Result<Option<Blob>, BackendError> {
        if self.has(Fault::DownloadBreaks) {
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
        if self.has(Fault::BackendUnavailable) { Err(unavailable()) } else { Ok(()) }
    }

    async fn fail(&self, _hash: &SongHash, _reason: &FailureReason) -> Result<(), BackendError> {
        panic!("unexpected failure of a song")
    }
}

#[async_trait]
impl Separator for Fixture {
    async fn separate(&self, mut song: Blob, _progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        if self.has(Fault::Full) {
            return Err(AudioError::Full);
        }
        while song.next_chunk().await.map_err(|error| AudioError::Failed(error.into()))?.is_some() {}
        let stem_bytes = |stem: Stem| bytes::Bytes::from(stem.to_string());
        let [drums, bass, other, vocals] = [Stem::DRUMS, Stem::BASS, Stem::OTHER, Stem::VOCALS].map(stem_bytes);
        Ok(Box::new(Stems { drums, bass, other, vocals }))
    }
}

/// A running worker with the longest possible pauses.
struct RunningWorker {
    clock: Arc<ManualClock>,
    worker: Worker,
    run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl RunningWorker {
    fn new(fixture: &Fixture) -> Self {
        let clock = Arc::new(ManualClock::new());
        let worker = Worker::builder_with_clock(
            Arc::new(fixture.clone()),
            Arc::new(fixture.clone()),
            Arc::new(fixture.clone()),
            Arc::clone(&clock) as _,
        )
        .with_chance(|| u16::MAX)
        .build();
        let clone = worker.clone();
        let run = Box::pin(async move { clone.run(pending()).await });
        Self { clock, worker, run }
    }

    /// Advances the clock and runs the worker until it waits.
    fn after_s(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        assert!(self.run.as_mut().now_or_never().is_none());
    }
}

#[test]
fn failing_worker_pauses_up_to_a_minute_between_jobs() {
    for fault in [Fault::BackendUnavailable, Fault::Full, Fault::QueueUnavailable] {
        let fixture = Fixture::new(fault, 0..60);
        let mut running = RunningWorker::new(&fixture);
        assert!(!running.worker.is_pausing());
        let mut taken = 0;
        for pause_s in [0, 5, 10, 20, 40, 60, 60, 60] {
            if pause_s > 0 {
                running.after_s(pause_s - 1);
                assert_eq!(fixture.settled().len(), taken, "{fault:?}: within the pause of {pause_s} s");
                running.after_s(1);
            } else {
                running.after_s(0);
            }
            taken += 1;
            assert_eq!(fixture.settled().len(), taken, "{fault:?}: after the pause of {pause_s} s");
            assert!(running.worker.is_pausing(), "{fault:?}");
        }
        if fault != Fault::QueueUnavailable {
            let expected = vec![Some(Failure::Later { after: Duration::ZERO }); taken];
            assert_eq!(fixture.settled(), expected, "the job is available immediately, and no attempt is counted");
        }
        // After the repair, the other jobs are done without a pause.
        fixture.repair();
        running.after_s(60);
        let jobs = if fault == Fault::QueueUnavailable { 60 } else { 60 - taken };
        assert_eq!(fixture.settled().len(), taken + jobs, "{fault:?}");
        assert!(fixture.settled()[taken..].iter().all(Option::is_none), "{fault:?}");
        assert!(!running.worker.is_pausing(), "{fault:?}");
    }
}

#[test]
fn worker_is_pausing_for_five_seconds_after_its_pause() {
    let fixture = Fixture::new(Fault::BackendUnavailable, 0..1);
    let mut running = RunningWorker::new(&fixture);
    running.after_s(0);
    fixture.repair();
    running.after_s(5);
    assert!(running.worker.is_pausing(), "no job has succeeded yet");
    running.after_s(5);
    assert!(!running.worker.is_pausing());
}

#[test]
fn one_unfetchable_song_does_not_grow_the_pause() {
    let fixture = Fixture::new(Fault::DownloadBreaks, [7; 20]);
    let mut running = RunningWorker::new(&fixture);
    running.after_s(0);
    for round in 1..=10 {
        assert_eq!(fixture.settled().len(), round);
        assert!(!running.worker.is_pausing(), "a single song must not pause the worker");
        running.after_s(5);
    }
    assert!(fixture.settled().iter().all(|settled| matches!(settled, Some(Failure::Later { .. }))));
}

#[test]
fn different_unfetchable_songs_double_the_pause() {
    let fixture = Fixture::new(Fault::DownloadBreaks, 0..20);
    let mut running = RunningWorker::new(&fixture);
    running.after_s(0);
    assert!(!running.worker.is_pausing());
    for (round, pause_s) in [5, 10, 20, 40].into_iter().enumerate() {
        assert_eq!(fixture.settled().len(), round + 1);
        running.after_s(pause_s - 1);
        assert_eq!(fixture.settled().len(), round + 1, "within the pause of {pause_s} s");
        running.after_s(1);
        assert!(running.worker.is_pausing());
    }
}
