//! The loop.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};

use super::settings::chance;
use super::trouble::{Trouble, Troubles};
use super::{WorkerCounts, WorkerSettings};
use crate::causes::chain;
use crate::ports::{Backend, Clock, JobQueue, Separator};

/// The longest pause of a worker that cannot work. Songs wait that much longer once its cause is removed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a worker counts as pausing after a pause: until then the same failure would have come again.
const SETTLING: Duration = Duration::from_secs(5);

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

    /// Whether it, or a clone of it, pauses because it cannot work: its queue or its backend does not answer or refuses it,
    /// its work folder is full, or song after song fails. Meanwhile others take the jobs.
    #[must_use]
    pub fn is_pausing(&self) -> bool {
        self.counts.pauses_until() > self.ports.clock.elapsed()
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> &Arc<WorkerCounts> {
        &self.counts
    }

    /// Takes jobs until `stop` ends; then finishes the one in hand, or hands it back when the
    /// [grace](WorkerSettings::grace) is over.
    ///
    /// Nothing ends it but `stop`. A worker that cannot work pauses, so that others get the jobs: for
    /// [`WorkerSettings::first_pause`] at first and for twice as long each time, for a minute at most. Dropping the future
    /// hands the job in hand back, too, at the latest when its lease runs out.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let stop = pin!(stop);
        let clock = self.ports.clock.as_ref();
        let mut stop = Stop { signal: Some(stop), clock, grace: self.settings.grace, until: None };
        let mut troubles = Troubles::default();
        // Looked at before a job is asked for: one that is taken and given back at once would have spent an attempt.
        while !stop.has_come() {
            let leased = match select(self.ports.queue.lease(), pin!(stop.signalled())).await {
                Either::Left((leased, _)) => leased,
                Either::Right(_) => return,
            };
            let trouble = match leased {
                Ok(lease) => self.work(lease, &mut stop).await,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no job could be taken");
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
            // One song that fails says nothing about the worker.
            if trouble == Trouble::Worker || failures > 1 {
                tracing::warn!(failures, pause_s = pause.as_secs_f64(), "the worker pauses");
                self.counts.pause_until(clock.elapsed().saturating_add(pause).saturating_add(SETTLING));
            }
            if let Either::Right(_) = select(clock.sleep(pause), pin!(stop.signalled())).await {
                return;
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
