//! The worker's main loop.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};
use vocalizer_api::backoff::chance;

use super::trouble::{Trouble, Troubles};
use super::{WorkerCounts, WorkerSettings};
use crate::causes::chain;
use crate::models::Capabilities;
use crate::ports::{Backend, Clock, Job, JobQueue, Separator};

/// The longest pause of a worker that cannot work. Songs may wait this long after the cause is fixed.
const MAX_WORKER_BACKOFF: Duration = Duration::from_secs(60);

/// How long a worker still counts as pausing after a pause, to see whether the same failure recurs.
const SETTLING: Duration = Duration::from_secs(5);

/// The ports a worker uses.
#[derive(Clone)]
pub(super) struct WorkerPorts {
    /// The source of jobs.
    pub(super) queue: Arc<dyn JobQueue>,
    /// The receiver of results.
    pub(super) backend: Arc<dyn Backend>,
    pub(super) separator: Arc<dyn Separator>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Builds a [`Worker`]; see [`Worker::builder`].
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::ports::{Backend, Clock, JobQueue, Separator};
/// use vocalizer_core::worker::{Worker, WorkerSettings};
///
/// # fn worker(
/// #     queue: Arc<dyn JobQueue>, backend: Arc<dyn Backend>, separator: Arc<dyn Separator>, clock: Arc<dyn Clock>,
/// # ) -> Worker {
/// let settings = WorkerSettings { max_attempts: 1, grace: Duration::from_secs(60), ..WorkerSettings::default() };
/// let worker = Worker::builder_with_clock(queue, backend, separator, clock).with_settings(settings).build();
/// # worker
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct WorkerBuilder {
    ports: WorkerPorts,
    settings: WorkerSettings,
    capabilities: Capabilities,
    chance: Arc<dyn Fn() -> u16 + Send + Sync>,
}

impl WorkerBuilder {
    /// Sets attempts, pauses and timeouts.
    pub fn with_settings(mut self, settings: WorkerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets which jobs to take. Default: those of the default model.
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Takes the jitter of pauses from `chance` instead of a random source, for reproducible runs.
    pub fn with_chance(mut self, chance: impl Fn() -> u16 + Send + Sync + 'static) -> Self {
        self.chance = Arc::new(chance);
        self
    }

    /// Builds the worker.
    #[must_use]
    pub fn build(self) -> Worker {
        let Self { ports, settings, capabilities, chance } = self;
        Worker { ports, settings, capabilities, counts: Arc::default(), chance }
    }
}

/// A worker. It processes one song at a time. Clones share their counters.
#[derive(Clone)]
pub struct Worker {
    ports: WorkerPorts,
    settings: WorkerSettings,
    capabilities: Capabilities,
    counts: Arc<WorkerCounts>,
    chance: Arc<dyn Fn() -> u16 + Send + Sync>,
}

impl Worker {
    /// Returns a builder for a worker that takes jobs from `queue`, splits songs with `separator` and delivers the stems to
    /// `backend`, with the system clock.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use vocalizer_core::ports::{JobQueue, Separator};
    /// use vocalizer_core::service::SongService;
    /// use vocalizer_core::worker::Worker;
    ///
    /// /// Two workers in the process of the service.
    /// fn workers(service: &SongService, separator: Arc<dyn Separator>) -> [Worker; 2] {
    ///     let (queue, backend) = (service.queue().clone(), Arc::new(service.clone()));
    ///     let worker = Worker::builder(queue, backend, separator).build();
    ///     [worker.clone(), worker]
    /// }
    /// ```
    #[cfg(feature = "system-clock")]
    pub fn builder(
        queue: Arc<dyn JobQueue>,
        backend: Arc<dyn Backend>,
        separator: Arc<dyn Separator>,
    ) -> WorkerBuilder {
        Self::builder_with_clock(queue, backend, separator, Arc::new(crate::SystemClock::new()))
    }

    /// Like [`builder`](Self::builder), with a clock of your own.
    pub fn builder_with_clock(
        queue: Arc<dyn JobQueue>,
        backend: Arc<dyn Backend>,
        separator: Arc<dyn Separator>,
        clock: Arc<dyn Clock>,
    ) -> WorkerBuilder {
        let ports = WorkerPorts { queue, backend, separator, clock };
        let (settings, capabilities) = (WorkerSettings::default(), Capabilities::default());
        WorkerBuilder { ports, settings, capabilities, chance: Arc::new(chance) }
    }

    pub(super) fn ports(&self) -> &WorkerPorts {
        &self.ports
    }

    pub(super) fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    /// Returns whether this worker has the model of a job. One that names no models takes what its queue delivers.
    pub(super) fn takes(&self, job: &Job) -> bool {
        self.capabilities.models().is_none() || job.fits(&self.capabilities)
    }

    /// Returns the backoff after this many consecutive failures.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        self.settings.pause(failures, (self.chance)())
    }

    /// Returns whether this worker or a clone of it pauses because it cannot work: the queue or the backend is
    /// unavailable or refuses it, its work folder is full, or several songs in a row fail. Other workers take the jobs
    /// meanwhile.
    #[must_use]
    pub fn is_pausing(&self) -> bool {
        self.counts.pauses_until() > self.ports.clock.elapsed()
    }

    /// Returns the counters.
    ///
    /// ```
    /// use vocalizer_core::worker::Worker;
    ///
    /// /// Returns how many seconds of audio the worker splits per second.
    /// fn speed(worker: &Worker) -> f64 {
    ///     let counts = worker.counts();
    ///     counts.audio_ms() as f64 / counts.busy_ms().max(1) as f64
    /// }
    /// ```
    #[must_use]
    pub fn counts(&self) -> &Arc<WorkerCounts> {
        &self.counts
    }

    /// Takes jobs until `stop` completes, then finishes the current job or hands it back when the [grace
    /// period](WorkerSettings::grace) ends.
    ///
    /// Only `stop` ends it. A worker that cannot work pauses, so that other workers get the jobs: first for
    /// [`WorkerSettings::first_backoff`], then twice as long each time, up to one minute. Dropping the future also
    /// returns the current job to the queue, at the latest when its lease runs out.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{collections::VecDeque, sync::{Arc, Mutex}, time::Duration};
    /// # use async_trait::async_trait;
    /// # use vocalizer_core::{account::*, api::*, memory::*, ports::*, service::*, song::*, worker::*};
    /// # struct Queue(Mutex<VecDeque<Job>>);
    /// # #[async_trait]
    /// # impl JobQueue for Queue {
    /// #     async fn publish(&self, job: Job) -> Result<(), QueueError> { Ok(self.0.lock().unwrap().push_back(job)) }
    /// #     async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
    /// #         let job = self.0.lock().unwrap().pop_front();
    /// #         match job { Some(job) => Ok(Box::new(Held(job))), None => std::future::pending().await }
    /// #     }
    /// #     async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> { Ok(JobState::Unknown) }
    /// #     async fn depth(&self) -> Result<Depth, QueueError> { Ok(Depth::default()) }
    /// # }
    /// # struct Held(Job);
    /// # #[async_trait]
    /// # impl Lease for Held {
    /// #     fn job(&self) -> &Job { &self.0 }
    /// #     fn attempt(&self) -> u32 { 1 }
    /// #     fn visibility(&self) -> Duration { Duration::from_secs(60) }
    /// #     async fn extend(&mut self) -> Result<(), QueueError> { Ok(()) }
    /// #     async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> { Ok(()) }
    /// #     async fn fail(self: Box<Self>, _: Failure) -> Result<(), QueueError> { Ok(()) }
    /// # }
    /// # struct Copies;
    /// # #[async_trait]
    /// # impl Separator for Copies {
    /// #     async fn separate(&self, mut song: Blob, _: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
    /// #         let read = song.next_chunk().await.map_err(|error| AudioError::Failed(error.into()));
    /// #         let mp3 = read?.unwrap_or_default();
    /// #         Ok(Box::new(Stems { drums: mp3.clone(), bass: mp3.clone(), other: mp3.clone(), vocals: mp3 }))
    /// #     }
    /// # }
    /// # let (songs, blobs) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default());
    /// # let (queue, clock) = (Arc::new(Queue(Mutex::default())), Arc::new(ManualClock::new()));
    /// # let service = SongService::builder_with_clock(songs, blobs, queue.clone(), clock.clone()).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// # let separator = Arc::new(Copies);
    /// let worker = Worker::builder_with_clock(queue, Arc::new(service.clone()), separator, clock).build();
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let running = tokio::spawn({
    ///     let worker = worker.clone();
    ///     async move { worker.run(async { drop(stopped.await) }).await }
    /// });
    /// # while worker.counts().done() == 0 { tokio::task::yield_now().await; }
    /// // At a shutdown:
    /// drop(stop);
    /// running.await?;
    /// assert_eq!(worker.counts().done(), 1);
    /// # assert_eq!(service.song(Viewer::Anonymous, song.id).await?.status, SongStatus::Split);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let stop = pin!(stop);
        let clock = self.ports.clock.as_ref();
        let mut stop = Stop { signal: Some(stop), clock, grace: self.settings.grace, until: None };
        let mut troubles = Troubles::default();
        // Checked before leasing: leasing a job and returning it at once would use up an attempt.
        while !stop.has_come() {
            let leased = match select(self.ports.queue.lease_for(&self.capabilities), pin!(stop.signalled())).await {
                Either::Left((leased, _)) => leased,
                Either::Right(_) => return,
            };
            let trouble = match leased {
                Ok(lease) => self.work(lease, &mut stop).await,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "leasing a job failed");
                    Some(Trouble::Worker)
                }
            };
            let Some(trouble) = trouble else {
                troubles = Troubles::default();
                self.counts.pause_until(Duration::ZERO);
                continue;
            };
            let failures = troubles.count(trouble);
            let pause = self.pause(failures).min(MAX_WORKER_BACKOFF);
            // A single failing song says nothing about the worker.
            if trouble == Trouble::Worker || failures > 1 {
                tracing::warn!(failures, pause_s = pause.as_secs_f64(), "worker paused");
                self.counts.pause_until(clock.elapsed().saturating_add(pause).saturating_add(SETTLING));
            }
            if let Either::Right(_) = select(clock.sleep(pause), pin!(stop.signalled())).await {
                return;
            }
        }
    }
}

/// The shutdown signal and the grace period for the current job.
pub(super) struct Stop<'a> {
    /// `None` once it has fired.
    signal: Option<Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>>,
    clock: &'a dyn Clock,
    grace: Duration,
    /// When the grace period ends, once the signal has fired.
    until: Option<Duration>,
}

impl Stop<'_> {
    /// Returns whether the signal has fired, even if nothing was waiting for it.
    fn has_come(&mut self) -> bool {
        self.signalled().now_or_never().is_some()
    }

    /// Completes when the signal fires, or at once if it has already fired.
    async fn signalled(&mut self) {
        if let Some(signal) = &mut self.signal {
            signal.as_mut().await;
            self.signal = None;
        }
    }

    /// Completes when the grace period ends and the job must be handed back. May be called again: the grace period
    /// starts at the signal.
    pub(super) fn grace_over(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.signalled().await;
            let now = self.clock.elapsed();
            let until = *self.until.get_or_insert(now.saturating_add(self.grace));
            self.clock.sleep(until.saturating_sub(now)).await;
        })
    }
}
