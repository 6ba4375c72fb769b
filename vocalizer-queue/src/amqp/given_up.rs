//! Jobs that the broker gave up by itself.
//!
//! A quorum queue sets a job aside whose workers have died too often, and any queue of ours one that a worker refused.
//! Programs of the original never count, so that nobody else would do it. The broker puts it where only such jobs are; a
//! server takes it from there, and puts it to the other dead letters once its songs have failed.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::BasicGetOptions;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::{DeadLetter, GivenUp, QueueError};

use super::broker::Broker;
use super::error::AmqpError;
use super::finish::finished;
use super::lane::Lane;
use super::topology::{dead_name, given_up_name};
use super::wire::{Message, Received};

/// One of them. Held by its channel, so that it goes back when this is dropped.
pub(super) struct AmqpGivenUp {
    broker: Arc<Broker>,
    lane: Lane,
    delivery_tag: u64,
    letter: DeadLetter,
    repeated_since: Option<OffsetDateTime>,
    /// What goes to the dead letters.
    copy: Message,
}

/// The oldest of them, if there is one. What is no job at all has no songs that could fail, and is filed at once.
pub(super) async fn next_given_up(broker: &Arc<Broker>) -> Result<Option<AmqpGivenUp>, AmqpError> {
    loop {
        let lane = broker.lane().await?;
        let name = given_up_name(&broker.settings.queue);
        let next = lane.ask(lane.channel().basic_get(name.into(), BasicGetOptions::default())).await;
        let Some(next) = next.inspect_err(|error| broker.hear(&lane, error))?.map(|next| next.delivery) else {
            lane.close().await?;
            return Ok(None);
        };
        let received = Received { body: next.data.into(), properties: next.properties, redelivered: next.redelivered };
        let looked = spawn_blocking(move || (received.job(), received)).await;
        let (job, received) = looked.map_err(|_| AmqpError::lost("the program ends"))?;
        let (broker, delivery_tag) = (Arc::clone(broker), next.delivery_tag);
        match job {
            Ok(job) => {
                let letter = received.dead_letter();
                let copy = Message::of(&job, letter.attempts)?.dead(&letter.reason);
                let repeated_since = received.died_at().filter(|_| received.redelivered);
                return Ok(Some(AmqpGivenUp { broker, lane, delivery_tag, letter, repeated_since, copy }));
            }
            Err(reason) => finished(file(broker, lane, delivery_tag, received.dead(reason))).await?,
        }
    }
}

async fn file(broker: Arc<Broker>, lane: Lane, delivery_tag: u64, copy: Message) -> Result<(), AmqpError> {
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
        Ok(finished(file(broker, lane, delivery_tag, copy)).await?)
    }
}
