//! What the simulated broker gave up by itself, on its way to the dead letters.

use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, GivenUp, QueueError};
use vocalizer_core::song::FailureReason;

use super::broker::{Broker, Forsaken, Granted, State, unavailable};
use super::calls::Away;
use super::kernel::Place;

pub(crate) struct SimulatedGivenUp {
    broker: Arc<Broker>,
    letter: DeadLetter,
    repeated_since: Option<OffsetDateTime>,
    token: u64,
}

impl SimulatedGivenUp {
    /// The oldest that nobody has.
    pub(super) fn next(broker: &Arc<Broker>) -> Option<Self> {
        let (mut state, (_, process, _)) = (broker.state(), broker.kernel.current());
        let place = state.given_up.iter().position(|given_up| given_up.message.granted.is_none())?;
        state.numbers += 1;
        let token = state.numbers;
        let Forsaken { message, since, told } = &mut state.given_up[place];
        let repeated_since = std::mem::replace(told, true).then_some(*since);
        let until_us = u64::MAX;
        message.granted = Some(Granted { token, process, until_us, spent: true, counts: true, durable: false, at: 0 });
        let reason = FailureReason::new("the queue gave it up");
        let letter = DeadLetter { hash: message.job.hash, reason, attempts: message.attempts };
        Some(Self { broker: Arc::clone(broker), letter, repeated_since, token })
    }

    fn place(&self, state: &State) -> Option<usize> {
        let mine =
            |given_up: &Forsaken| given_up.message.granted.as_ref().is_some_and(|granted| granted.token == self.token);
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
            match self.place(&state) {
                Some(place) if !kernel.fault(kernel.plan.rates.settlement_lost) => {
                    state.given_up.remove(place);
                    Ok(())
                }
                _ => {
                    kernel.met("given up twice");
                    Err(unavailable(Away("the connection has ended")))
                }
            }
        };
        kernel.call(Place::Broker, file).await.map_err(unavailable)?
    }
}

impl Drop for SimulatedGivenUp {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        if let Some(place) = self.place(&state) {
            state.given_up[place].message.granted = None;
        }
    }
}
