//! Leasing the next job.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, FutureExt as _, select};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions};
use lapin::types::FieldTable;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{spawn, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::broker::Broker;
use super::channel::OwnedChannel;
use super::delivery::HeldDelivery;
use super::error::AmqpError;
use super::topology::dead_name;
use super::wire::{Message, Received};
use crate::finish::run_to_completion;

/// The pause before consuming again after the broker cancelled the consumer.
const RECONSUME_PAUSE: Duration = Duration::from_millis(250);

/// How long a consumer whose caller is gone waits for a job before it is cancelled. A quorum queue takes back a delivery that
/// crosses the cancellation, and counts an attempt. Jobs that are published together arrive within this time.
const LINGER: Duration = Duration::from_secs(1);

/// Waits for a job.
pub(super) async fn take(broker: &Arc<Broker>) -> Result<HeldDelivery, AmqpError> {
    hand_over(broker, true).await?.ok_or_else(shutting_down)
}

/// Returns the next job if one is ready.
pub(super) async fn take_ready(broker: &Arc<Broker>) -> Taken {
    hand_over(broker, false).await
}

/// Takes a job in a task of its own. If the caller is gone when the job arrives, it goes to the end of the queue and counts
/// no attempt.
async fn hand_over(broker: &Arc<Broker>, waits: bool) -> Taken {
    let (sender, receiver) = oneshot::channel();
    spawn(deliver(Arc::clone(broker), sender, waits).in_current_span());
    let mut waiting = Waiting { receiver, runtime: Handle::current() };
    (&mut waiting.receiver).await.map_err(|_| shutting_down())?
}

fn shutting_down() -> AmqpError {
    AmqpError::lost("the program is shutting down")
}

/// Returns the next job if one is ready.
async fn ready(broker: &Arc<Broker>) -> Taken {
    loop {
        let lane = broker.lane().await?;
        let name = broker.settings.queue.as_str();
        let next = lane.await_response(lane.channel().basic_get(name.into(), BasicGetOptions::default())).await;
        let Some(next) = next.inspect_err(|error| broker.redeclare_if_missing(&lane, error))? else {
            lane.close().await?;
            return Ok(None);
        };
        if let Some(held) = parse(broker, lane, next.delivery).await? {
            return Ok(Some(held));
        }
    }
}

type Taken = Result<Option<HeldDelivery>, AmqpError>;

/// The caller's end of a delivery.
struct Waiting {
    receiver: oneshot::Receiver<Taken>,
    runtime: Handle,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Ok(Some(held))) = self.receiver.try_recv() {
            self.runtime.spawn(held.hand_back());
        }
    }
}

async fn deliver(broker: Arc<Broker>, mut to: oneshot::Sender<Taken>, waits: bool) {
    let taken = if waits { wait(&broker, &mut to).await } else { ready(&broker).await };
    if let Err(Ok(Some(held))) = to.send(taken) {
        held.hand_back().await;
    }
}

/// Waits for a job; `None` if the caller is gone before one arrives.
async fn wait(broker: &Arc<Broker>, to: &mut oneshot::Sender<Taken>) -> Taken {
    while !to.is_closed() {
        let lane = broker.lane().await?;
        match next(&lane, &broker.settings.queue, to.closed()).await {
            Ok(Some(delivery)) => {
                if let Some(held) = parse(broker, lane, delivery).await? {
                    return Ok(Some(held));
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
    Ok(None)
}

async fn next(
    lane: &OwnedChannel,
    queue: &str,
    caller_gone: impl Future<Output = ()>,
) -> Result<Option<Delivery>, AmqpError> {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        lane.await_response(lane.channel().basic_consume(queue.into(), "".into(), options, arguments)).await?;
    let delivery = match select(consumer.next(), pin!(caller_gone)).await {
        Either::Left((None, _)) => return Ok(None),
        Either::Left((delivery, _)) => delivery.transpose()?,
        Either::Right(((), delivery)) => timeout(LINGER, delivery).await.ok().flatten().transpose()?,
    };
    // Otherwise the next job would be delivered on the acknowledgement of this one, and count as an attempt.
    lane.await_response(lane.channel().basic_cancel(consumer.tag(), BasicCancelOptions::default())).await?;
    match delivery {
        Some(delivery) => Ok(Some(delivery)),
        // It may have arrived at the same moment.
        None => Ok(consumer.next().now_or_never().flatten().transpose()?),
    }
}

/// Parses a delivery. Returns `None` for an invalid message, and for a job republished with a higher attempt count.
async fn parse(broker: &Arc<Broker>, lane: OwnedChannel, delivery: Delivery) -> Taken {
    let Delivery { delivery_tag, redelivered, properties, data, .. } = delivery;
    let received = Received { body: data.into(), properties, redelivered };
    let parsed = spawn_blocking(move || (received.job(), received)).await;
    let (job, received) = parsed.map_err(|_| shutting_down())?;
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
