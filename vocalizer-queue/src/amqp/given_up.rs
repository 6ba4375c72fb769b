//! Jobs that the broker gave up.
//!
//! A quorum queue gives up a job after too many deliveries, and dead-letters one that a worker rejects. The original's
//! workers count no attempts, so only the broker can do this. It puts such jobs into their own queue; a server takes
//! them from there and moves them to the dead letters once it has marked their songs as failed.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::BasicGetOptions;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::{DeadLetter, GivenUp, QueueError};

use super::broker::Broker;
use super::channel::OwnedChannel;
use super::error::AmqpError;
use super::topology::{dead_name, given_up_name};
use super::wire::{Message, Received};
use crate::finish::run_to_completion;

/// A job that the broker gave up. Its channel holds it, so dropping this value requeues it.
pub(super) struct AmqpGivenUp {
    broker: Arc<Broker>,
    lane: OwnedChannel,
    delivery_tag: u64,
    letter: DeadLetter,
    repeated_since: Option<OffsetDateTime>,
    /// The message for the dead letters.
    copy: Message,
}

/// Returns the oldest job that the broker gave up. Invalid messages have no songs to fail and are filed at once.
pub(super) async fn next_given_up(broker: &Arc<Broker>) -> Result<Option<AmqpGivenUp>, AmqpError> {
    loop {
        let lane = broker.lane().await?;
        let name = given_up_name(&broker.settings.queue);
        let next = lane.await_response(lane.channel().basic_get(name.into(), BasicGetOptions::default())).await;
        let Some(next) = next.inspect_err(|error| broker.redeclare_if_missing(&lane, error))?.map(|next| next.delivery)
        else {
            lane.close().await?;
            return Ok(None);
        };
        let received = Received { body: next.data.into(), properties: next.properties, redelivered: next.redelivered };
        let parsed = spawn_blocking(move || (received.job(), received)).await;
        let (job, received) = parsed.map_err(|_| AmqpError::lost("the program is shutting down"))?;
        let (broker, delivery_tag) = (Arc::clone(broker), next.delivery_tag);
        match job {
            Ok(job) => {
                let letter = received.dead_letter();
                let copy = Message::of(&job, letter.attempts)?.dead(&letter.reason);
                let repeated_since = received.died_at().filter(|_| received.redelivered);
                return Ok(Some(AmqpGivenUp { broker, lane, delivery_tag, letter, repeated_since, copy }));
            }
            Err(reason) => run_to_completion(file(broker, lane, delivery_tag, received.dead(reason))).await?,
        }
    }
}

async fn file(broker: Arc<Broker>, lane: OwnedChannel, delivery_tag: u64, copy: Message) -> Result<(), AmqpError> {
    broker.publisher.send(&dead_name(&broker.settings.queue), copy).await?;
    lane.acknowledge(delivery_tag).await
}

#[async_trait]
impl GivenUp for AmqpGivenUp {
    fn letter(&self) -> &DeadLetter {
        &self.letter
    }

    fn repeated_since(&self) -> Option<OffsetDateTime> {
        self.repeated_since
    }

    async fn file(self: Box<Self>) -> Result<(), QueueError> {
        let Self { broker, lane, delivery_tag, copy, .. } = *self;
        Ok(run_to_completion(file(broker, lane, delivery_tag, copy)).await?)
    }
}
