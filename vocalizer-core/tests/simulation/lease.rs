//! A lease of the simulated broker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{DeadLetter, Failure, Job, Lease, QueueError};

use super::broker::{Broker, Message, State, VISIBILITY, VISIBILITY_US, unavailable};
use super::chance::Chance;
use super::kernel::Component;
use super::plan::SECOND;
use super::planted::Bug;

pub(crate) struct SimulatedLease {
    pub(super) broker: Arc<Broker>,
    pub(super) job: Job,
    pub(super) attempt: u32,
    pub(super) token: u64,
    pub(super) granted_at: u64,
    /// Whether it outlives this value.
    pub(super) durable: bool,
}

impl SimulatedLease {
    fn index(&self, state: &State) -> Option<usize> {
        let mine = |message: &Message| message.granted.as_ref().is_some_and(|granted| granted.token == self.token);
        state.messages.iter().position(mine)
    }

    /// Returns an error for a lost lease; a queue that cannot tell sometimes returns success.
    fn lost(&self) -> Result<(), QueueError> {
        self.broker.kernel.cover("lease lost");
        if self.broker.kernel.plan.exact || self.broker.kernel.one_in(2) { Err(QueueError::LeaseLost) } else { Ok(()) }
    }

    fn content(&self) -> usize {
        self.broker.kernel.plan.content(&self.job.hash)
    }

    /// Settles the job with `how`, unless the request is lost.
    async fn settle(self: Box<Self>, how: impl FnOnce(&mut State, usize) + Send) -> Result<(), QueueError> {
        let kernel = &self.broker.kernel;
        let settled = || {
            let mut state = self.broker.state();
            let Some(index) = self.index(&state) else { return self.lost() };
            if kernel.fault(kernel.plan.rates.settlement_lost) {
                kernel.cover("settlement lost");
                return Ok(());
            }
            how(&mut state, index);
            drop(state);
            self.broker.changed.notify(usize::MAX);
            Ok(())
        };
        kernel.call(Component::Broker, settled).await.map_err(unavailable)?
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
            let Some(index) = self.index(&state) else { return self.lost() };
            if let Some(granted) = &mut state.messages[index].granted {
                (granted.until_us, granted.counts) = (kernel.now_us() + VISIBILITY_US, true);
            }
            Ok(())
        };
        kernel.call(Component::Broker, extended).await.map_err(unavailable)?
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        let (broker, content, since) = (Arc::clone(&self.broker), self.content(), self.granted_at);
        self.settle(move |state, index| {
            let done = state.messages.remove(index);
            broker.kernel.note(format_args!("job {} is acknowledged", done.number));
            broker.ghost.settled(content, since);
        })
        .await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        let (broker, content, since) = (Arc::clone(&self.broker), self.content(), self.granted_at);
        self.settle(move |state, index| {
            let now_us = broker.kernel.now_us();
            let message = &mut state.messages[index];
            broker.kernel.note(format_args!("job {} failed: {failure:?}", message.number));
            match failure {
                Failure::Retry { after } => {
                    broker.kernel.cover("retry after failure");
                    (message.granted, message.ready_us) = (None, now_us + us(after));
                }
                Failure::Later { after } => {
                    broker.kernel.cover("postponed");
                    if !broker.ghost.has(Bug::OutagesCountAsAttempts) {
                        message.attempts -= 1;
                    }
                    (message.granted, message.ready_us) = (None, now_us + us(after));
                }
                Failure::Never { reason } => {
                    let Message { job, attempts, .. } = state.messages.remove(index);
                    broker.ghost.settled(content, since);
                    state.dead.push(DeadLetter { hash: job.hash, reason, attempts });
                }
            }
        })
        .await
    }
}

/// Releases the lease, unless it was settled. The broker notices a dead worker only after a delay.
impl Drop for SimulatedLease {
    fn drop(&mut self) {
        if self.durable {
            return;
        }
        let kernel = Arc::clone(&self.broker.kernel);
        let mut state = self.broker.state();
        let Some(index) = self.index(&state) else { return };
        let message = &mut state.messages[index];
        // Separate randomness, because a desk drops its leases in no fixed order.
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
        // Waiting callers recompute their timeout.
        self.broker.changed.notify(usize::MAX);
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
