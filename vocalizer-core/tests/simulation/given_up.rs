//! Jobs that the simulated broker gave up by itself.

use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, GivenUp, QueueError};
use vocalizer_core::song::FailureReason;

use super::broker::{Broker, GivenUpMessage, Granted, State, unavailable};
use super::calls::CallError;
use super::kernel::Component;

pub(crate) struct SimulatedGivenUp {
    broker: Arc<Broker>,
    letter: DeadLetter,
    repeated_since: Option<OffsetDateTime>,
    token: u64,
}

impl SimulatedGivenUp {
    /// Takes the oldest one that is not held.
    pub(super) fn next(broker: &Arc<Broker>) -> Option<Self> {
        let (mut state, (_, process, _)) = (broker.state(), broker.kernel.current());
        let index = state.given_up.iter().position(|given_up| given_up.message.granted.is_none())?;
        state.numbers += 1;
        let token = state.numbers;
        let GivenUpMessage { message, since, reported } = &mut state.given_up[index];
        let repeated_since = std::mem::replace(reported, true).then_some(*since);
        let (until_us, at) = (u64::MAX, broker.kernel.steps());
        message.granted = Some(Granted { token, process, until_us, spent: true, counts: true, durable: false, at });
        let reason = FailureReason::new("given up by the queue");
        let letter = DeadLetter { hash: message.job.hash, reason, attempts: message.attempts };
        Some(Self { broker: Arc::clone(broker), letter, repeated_since, token })
    }

    fn index(&self, state: &State) -> Option<usize> {
        let mine = |given_up: &GivenUpMessage| {
            given_up.message.granted.as_ref().is_some_and(|granted| granted.token == self.token)
        };
        state.given_up.iter().position(mine)
    }
}

#[async_trait]
impl GivenUp for SimulatedGivenUp {
    fn letter(&self) -> &DeadLetter {
        &self.letter
    }

    fn repeated_since(&self) -> Option<OffsetDateTime> {
        self.repeated_since
    }

    async fn file(self: Box<Self>) -> Result<(), QueueError> {
        let kernel = &self.broker.kernel;
        let file = || {
            let mut state = self.broker.state();
            state.dead.push(self.letter.clone());
            match self.index(&state) {
                Some(index) if !kernel.fault(kernel.plan.rates.settlement_lost) => {
                    state.given_up.remove(index);
                    Ok(())
                }
                _ => {
                    kernel.cover("given up twice");
                    Err(unavailable(CallError("connection lost")))
                }
            }
        };
        kernel.call(Component::Broker, file).await.map_err(unavailable)?
    }
}

impl Drop for SimulatedGivenUp {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        if let Some(index) = self.index(&state) {
            state.given_up[index].message.granted = None;
        }
    }
}
