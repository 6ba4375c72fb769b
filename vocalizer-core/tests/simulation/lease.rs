//! A lease of the simulated broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{DeadLetter, Failure, Job, Lease, QueueError};

use super::broker::{Broker, Message, State, VISIBILITY, VISIBILITY_US, unavailable};
use super::chance::Chance;
use super::kernel::Place;
use super::plan::SECOND;
use super::planted::Bug;

pub(crate) struct SimulatedLease {
    pub(super) broker: Arc<Broker>,
    pub(super) job: Job,
    pub(super) attempt: u32,
    pub(super) token: u64,
    pub(super) granted_at: u64,
    /// It goes on without this value.
    pub(super) durable: bool,
}

impl SimulatedLease {
    fn place(&self, state: &State) -> Option<usize> {
        let mine = |message: &Message| message.granted.as_ref().is_some_and(|granted| granted.token == self.token);
        state.messages.iter().position(mine)
    }

    /// A queue that cannot tell says that all is well, sometimes.
    fn lost(&self) -> Result<(), QueueError> {
        self.broker.kernel.met("lease lost");
        if self.broker.kernel.plan.exact || self.broker.kernel.one_in(2) { Err(QueueError::LeaseLost) } else { Ok(()) }
    }

    fn content(&self) -> usize {
        self.broker.kernel.plan.content(&self.job.hash)
    }

    /// Settles the job, unless the broker never hears of it; `how` gets it and whether it stays.
    async fn settle(self: Box<Self>, how: impl FnOnce(&mut State, usize) + Send) -> Result<(), QueueError> {
        let kernel = &self.broker.kernel;
        let settled = || {
            let mut state = self.broker.state();
            let Some(place) = self.place(&state) else { return self.lost() };
            if kernel.fault(kernel.plan.rates.settlement_lost) {
                kernel.met("settlement lost");
                return Ok(());
            }
            how(&mut state, place);
            drop(state);
            self.broker.changed.notify(usize::MAX);
            Ok(())
        };
        kernel.call(Place::Broker, settled).await.map_err(unavailable)?
    }
}

#[async_trait]
impl Lease for SimulatedLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        let kernel = &self.broker.kernel;
        let extended = || {
            let mut state = self.broker.state();
            let Some(place) = self.place(&state) else { return self.lost() };
            if let Some(granted) = &mut state.messages[place].granted {
                (granted.until_us, granted.counts) = (kernel.now_us() + VISIBILITY_US, true);
            }
            Ok(())
        };
        kernel.call(Place::Broker, extended).await.map_err(unavailable)?
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        let (broker, content, since) = (Arc::clone(&self.broker), self.content(), self.granted_at);
        self.settle(move |state, place| {
            let done = state.messages.remove(place);
            broker.kernel.note(format_args!("job {} is acknowledged", done.number));
            broker.ghost.settled(content, since);
        })
        .await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        let (broker, content, since) = (Arc::clone(&self.broker), self.content(), self.granted_at);
        self.settle(move |state, place| {
            let now_us = broker.kernel.now_us();
            let message = &mut state.messages[place];
            broker.kernel.note(format_args!("job {} is not done: {failure:?}", message.number));
            match failure {
                Failure::Retry { after } => {
                    broker.kernel.met("again after a failure");
                    (message.granted, message.ready_us) = (None, now_us + us(after));
                }
                Failure::Later { after } => {
                    broker.kernel.met("later");
                    if !broker.ghost.has(Bug::OutagesCountAsAttempts) {
                        message.attempts -= 1;
                    }
                    (message.granted, message.ready_us) = (None, now_us + us(after));
                }
                Failure::Never { reason } => {
                    let Message { job, attempts, .. } = state.messages.remove(place);
                    broker.ghost.settled(content, since);
                    state.dead.push(DeadLetter { hash: job.hash, reason, attempts });
                }
            }
        })
        .await
    }
}

/// Whether it was settled or not, the worker has let go. One that died is missed only after a while.
impl Drop for SimulatedLease {
    fn drop(&mut self) {
        if self.durable {
            return;
        }
        let kernel = Arc::clone(&self.broker.kernel);
        let mut state = self.broker.state();
        let Some(place) = self.place(&state) else { return };
        let message = &mut state.messages[place];
        // Chance of its own: a desk lets go of its leases in no order.
        let mut chance = Chance::new(self.token);
        if kernel.dying() || chance.one_in(4) {
            let missed_us = kernel.now_us() + chance.below(90 * SECOND);
            if let Some(granted) = &mut message.granted {
                granted.until_us = granted.until_us.min(missed_us);
            }
        } else {
            message.free(&self.broker.ghost);
        }
        drop(state);
        // Whoever waits is to look anew until when.
        self.broker.changed.notify(usize::MAX);
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
