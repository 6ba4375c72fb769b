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
use crate::ports::{Backend, Clock, JobQueue, Separator};

/// The longest pause of a worker that cannot work. Songs may wait this long after the cause is fixed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a worker still counts as pausing after a pause, to see whether the same failure recurs.
const SETTLING: Duration = Duration::from_secs(5);

/// The ports a worker uses.
#[derive(Clone)]
pub struct WorkerPorts {
    /// The source of jobs.
    pub queue: Arc<dyn JobQueue>,
    /// The receiver of results.
    pub backend: Arc<dyn Backend>,
    /// Splits songs into stems.
    pub separator: Arc<dyn Separator>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// A worker. It processes one song at a time.
#[derive(Clone)]
pub struct Worker {
    ports: WorkerPorts,
    settings: WorkerSettings,
    counts: Arc<WorkerCounts>,
    chance: Arc<dyn Fn() -> u16 + Send + Sync>,
}

impl Worker {
    /// Returns a worker over these ports. Clones share their counters.
    #[must_use]
    pub fn new(ports: WorkerPorts, settings: WorkerSettings) -> Self {
        Self { ports, settings, counts: Arc::default(), chance: Arc::new(chance) }
    }

    /// Takes the jitter of its pauses from `chance` instead of a random source, for reproducible runs.
    #[must_use]
    pub fn with_chance(mut self, chance: impl Fn() -> u16 + Send + Sync + 'static) -> Self {
        self.chance = Arc::new(chance);
        self
    }

    pub(super) fn ports(&self) -> &WorkerPorts {
        &self.ports
    }

    pub(super) fn settings(&self) -> &WorkerSettings {
        &self.settings
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
    #[must_use]
    pub fn counts(&self) -> &Arc<WorkerCounts> {
        &self.counts
    }

    /// Takes jobs until `stop` completes, then finishes the current job or hands it back when the [grace
    /// period](WorkerSettings::grace) ends.
    ///
    /// Only `stop` ends it. A worker that cannot work pauses, so that other workers get the jobs: first for
    /// [`WorkerSettings::first_pause`], then twice as long each time, up to one minute. Dropping the future also
    /// returns the current job to the queue, at the latest when its lease runs out.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let stop = pin!(stop);
        let clock = self.ports.clock.as_ref();
        let mut stop = Stop { signal: Some(stop), clock, grace: self.settings.grace, until: None };
        let mut troubles = Troubles::default();
        // Checked before leasing: leasing a job and returning it at once would use up an attempt.
        while !stop.has_come() {
            let leased = match select(self.ports.queue.lease(), pin!(stop.signalled())).await {
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
            let pause = self.pause(failures).min(LONGEST_PAUSE);
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
