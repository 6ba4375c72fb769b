//! The loop.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};

use super::settings::chance;
use super::{WorkerCounts, WorkerSettings};
use crate::causes::chain;
use crate::ports::{Backend, Clock, JobQueue, Separator};

/// What a worker stands on.
#[derive(Clone)]
pub struct WorkerPorts {
    /// Where jobs come from.
    pub queue: Arc<dyn JobQueue>,
    /// Where results go.
    pub backend: Arc<dyn Backend>,
    /// Who does the work.
    pub separator: Arc<dyn Separator>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A worker: one song at a time.
#[derive(Clone)]
pub struct Worker {
    ports: WorkerPorts,
    settings: WorkerSettings,
    counts: Arc<WorkerCounts>,
    chance: Arc<dyn Fn() -> u16 + Send + Sync>,
}

impl Worker {
    /// A worker over these ports. Clones count together.
    #[must_use]
    pub fn new(ports: WorkerPorts, settings: WorkerSettings) -> Self {
        Self { ports, settings, counts: Arc::default(), chance: Arc::new(chance) }
    }

    /// Leaves the random half of its pauses to `chance` instead of to the system's randomness: for runs that are to be
    /// repeated exactly.
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

    /// How long to pause after so many failures in a row.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        self.settings.pause(failures, (self.chance)())
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> &Arc<WorkerCounts> {
        &self.counts
    }

    /// Takes jobs until `stop` ends; then finishes the one in hand, or hands it back when the
    /// [grace](WorkerSettings::grace) is over.
    ///
    /// Nothing ends it but `stop`: a queue that is away is asked again, less often the longer it stays away. Dropping the
    /// future hands the job in hand back, too, at the latest when its lease runs out.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let stop = pin!(stop);
        let clock = self.ports.clock.as_ref();
        let mut stop = Stop { signal: Some(stop), clock, grace: self.settings.grace, until: None };
        let mut misses = 0;
        // Looked at before a job is asked for: one that is taken and given back at once would have spent an attempt.
        while !stop.has_come() {
            let leased = match select(self.ports.queue.lease(), pin!(stop.signalled())).await {
                Either::Left((leased, _)) => leased,
                Either::Right(_) => return,
            };
            match leased {
                Ok(lease) => {
                    misses = 0;
                    self.work(lease, &mut stop).await;
                }
                Err(error) => {
                    misses += 1;
                    tracing::warn!(error = chain(&error), "no job could be taken");
                    let pause = self.ports.clock.sleep(self.pause(misses));
                    if let Either::Right(_) = select(pause, pin!(stop.signalled())).await {
                        return;
                    }
                }
            }
        }
    }
}

/// When to stop, and until when a job in hand may go on.
pub(super) struct Stop<'a> {
    /// Until it has come.
    signal: Option<Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>>,
    clock: &'a dyn Clock,
    grace: Duration,
    /// When the grace is over, once the signal has come.
    until: Option<Duration>,
}

impl Stop<'_> {
    /// Whether the worker is to stop by now, be it said while nobody waited for it.
    fn has_come(&mut self) -> bool {
        self.signalled().now_or_never().is_some()
    }

    /// Ends when the worker is to stop, at once if that was said before.
    async fn signalled(&mut self) {
        if let Some(signal) = &mut self.signal {
            signal.as_mut().await;
            self.signal = None;
        }
    }

    /// Ends when the job in hand must be given back. May be begun anew: the grace runs from the signal.
    pub(super) fn grace_over(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.signalled().await;
            let now = self.clock.elapsed();
            let until = *self.until.get_or_insert(now.saturating_add(self.grace));
            self.clock.sleep(until.saturating_sub(now)).await;
        })
    }
}
