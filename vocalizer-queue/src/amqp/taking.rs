//! Leasing the next job.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::broker::Broker;
use super::channel::OwnedChannel;
use super::delivery::HeldDelivery;
use super::error::AmqpError;
use super::topology::dead_name;
use super::wire::{Message, Received};
use crate::finish::run_to_completion;

/// The pause before consuming again after the broker cancelled the consumer.
const RECONSUME_PAUSE: Duration = Duration::from_millis(250);

/// Waits for a job. Cancel-safe: the channel holds the message, so dropping it requeues the job.
pub(super) async fn take(broker: &Arc<Broker>) -> Result<HeldDelivery, AmqpError> {
    loop {
        let lane = broker.lane().await?;
        match next(&lane, &broker.settings.queue).await {
            Ok(Some(delivery)) => {
                if let Some(hold) = parse(broker, lane, delivery).await? {
                    return Ok(hold);
                }
            }
            // The broker cancels consumers when a queue moves to another node or is deleted.
            Ok(None) => sleep(RECONSUME_PAUSE).await,
            Err(error) => {
                broker.redeclare_if_missing(&lane, &error);
                return Err(error);
            }
        }
    }
}

async fn next(lane: &OwnedChannel, queue: &str) -> Result<Option<Delivery>, AmqpError> {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        lane.await_response(lane.channel().basic_consume(queue.into(), "".into(), options, arguments)).await?;
    let Some(delivery) = consumer.next().await.transpose()? else { return Ok(None) };
    // Otherwise the next job would be delivered on the acknowledgement of this one, and count as an attempt.
    lane.await_response(lane.channel().basic_cancel(consumer.tag(), BasicCancelOptions::default())).await?;
    Ok(Some(delivery))
}

/// Parses a delivery. Returns `None` for an invalid message, and for a job republished with a higher attempt count.
async fn parse(
    broker: &Arc<Broker>,
    lane: OwnedChannel,
    delivery: Delivery,
) -> Result<Option<HeldDelivery>, AmqpError> {
    let Delivery { delivery_tag, redelivered, properties, data, .. } = delivery;
    let received = Received { body: data.into(), properties, redelivered };
    let parsed = spawn_blocking(move || (received.job(), received)).await;
    let (job, received) = parsed.map_err(|_| AmqpError::lost("the program is shutting down"))?;
    let (to, copy) = match job {
        Ok(job) if received.is_uncounted() => {
            (broker.settings.queue.clone(), Message::of(&job, received.attempts().saturating_add(1))?)
        }
        Ok(job) => {
            let attempt = received.attempts().saturating_add(1);
            return Ok(Some(HeldDelivery::new(Arc::clone(broker), lane, delivery_tag, job, attempt)));
        }
        Err(reason) => {
            tracing::warn!(
                reason,
                message_id = ?received.properties.message_id(),
                "invalid message moved to the dead letters"
            );
            (dead_name(&broker.settings.queue), received.dead(reason))
        }
    };
    let broker = Arc::clone(broker);
    run_to_completion(async move {
        broker.publisher.send(&to, copy).await?;
        lane.acknowledge(delivery_tag).await
    })
    .await?;
    Ok(None)
}
