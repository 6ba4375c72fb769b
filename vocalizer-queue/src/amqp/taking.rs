//! Waiting for a job.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::broker::Broker;
use super::error::AmqpError;
use super::finish::finished;
use super::hold::Hold;
use super::lane::Lane;
use super::topology::dead_name;
use super::wire::{Message, Received};

/// The pause before consuming again where the broker has ended it.
const AGAIN: Duration = Duration::from_millis(250);

/// Waits for a job. Dropped, it gives back what it has, since that is held by its channel.
pub(super) async fn take(broker: &Arc<Broker>) -> Result<Hold, AmqpError> {
    loop {
        let lane = broker.lane().await?;
        match next(&lane, &broker.settings.queue).await {
            Ok(Some(delivery)) => {
                if let Some(hold) = look(broker, lane, delivery).await? {
                    return Ok(hold);
                }
            }
            // The broker ends consumers: when a queue moves to another node, or was deleted.
            Ok(None) => sleep(AGAIN).await,
            Err(error) => {
                broker.hear(&lane, &error);
                return Err(error);
            }
        }
    }
}

async fn next(lane: &Lane, queue: &str) -> Result<Option<Delivery>, AmqpError> {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = lane.ask(lane.channel().basic_consume(queue.into(), "".into(), options, arguments)).await?;
    let Some(delivery) = consumer.next().await.transpose()? else { return Ok(None) };
    // Else the next job would come as soon as this one is acknowledged, and count as tried.
    lane.ask(lane.channel().basic_cancel(consumer.tag(), BasicCancelOptions::default())).await?;
    Ok(Some(delivery))
}

/// Looks at what came: a job, or nothing that could be worked on.
async fn look(broker: &Arc<Broker>, lane: Lane, delivery: Delivery) -> Result<Option<Hold>, AmqpError> {
    let Delivery { delivery_tag, redelivered, properties, data, .. } = delivery;
    let received = Received { body: data.into(), properties, redelivered };
    let looked = spawn_blocking(move || (received.job(), received)).await;
    let (job, received) = looked.map_err(|_| AmqpError::lost("the program ends"))?;
    let (to, copy) = match job {
        Ok(job) if received.is_uncounted() => {
            (broker.settings.queue.clone(), Message::of(&job, received.attempts().saturating_add(1))?)
        }
        Ok(job) => {
            let attempt = received.attempts().saturating_add(1);
            return Ok(Some(Hold::new(Arc::clone(broker), lane, delivery_tag, job, attempt)));
        }
        Err(reason) => {
            tracing::warn!(reason, message_id = ?received.properties.message_id(), "a message is no job and was set aside");
            (dead_name(&broker.settings.queue), received.dead(reason))
        }
    };
    let broker = Arc::clone(broker);
    finished(async move {
        broker.publisher.send(&to, copy).await?;
        lane.acknowledge(delivery_tag).await
    })
    .await?;
    Ok(None)
}
