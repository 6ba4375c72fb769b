//! Holding a job for longer than the broker's `consumer_timeout`.
//!
//! The job is copied into its own queue without consumers. When its TTL expires, it returns to the main queue. Before
//! that, a live worker publishes a fresh copy and removes the older one. When the job is done, the worker deletes the
//! queue. So however a worker dies, the broker always has one copy of the job.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeleteOptions};
use lapin::types::AMQPValue;
use tokio::time::Instant;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::QueueError;

use super::broker::Broker;
use super::error::AmqpError;
use super::topology::{durable, guard_name, millis, returning_arguments};
use super::wire::Message;

/// How long the queue exists after its job has left it. It is empty then, unless the broker has a fault.
const LINGER: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue that holds one job.
pub(super) struct ParkedJob {
    name: String,
    /// When the newest copy was published.
    since: Instant,
    /// Number of copies: one, except during a renewal or after an interrupted one.
    copies: u32,
}

impl ParkedJob {
    /// Copies the job into a new guard queue. The original stays where it is.
    pub(super) async fn over(broker: &Broker, message: Message) -> Result<Self, AmqpError> {
        let (settings, time) = (&broker.settings, broker.guard_time());
        let name = guard_name(&settings.queue);
        let mut arguments = returning_arguments(&settings.queue, settings.kind, time);
        let expires = time.saturating_mul(2).saturating_add(LINGER);
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(millis(expires)));
        let lane = broker.lane().await?;
        lane.await_response(durable(lane.channel(), &name, arguments)).await?;
        let since = Instant::now();
        if let Err(error) = broker.publisher.send(&name, message).await {
            // Otherwise each retry would leave another queue.
            let deleting = lane.channel().queue_delete(name.as_str().into(), QueueDeleteOptions::default());
            let _ = lane.await_response(deleting).await;
            return Err(error);
        }
        Ok(Self { name, since, copies: 1 })
    }

    /// Extends the hold by the full time.
    pub(super) async fn renew(&mut self, broker: &Broker, message: Message) -> Result<(), QueueError> {
        let time = broker.guard_time();
        if self.since.elapsed() >= time {
            return Err(QueueError::LeaseLost);
        }
        if self.since.elapsed() >= time / 2 {
            let since = Instant::now();
            match broker.publisher.send(&self.name, message).await {
                Ok(()) => (self.since, self.copies) = (since, self.copies + 1),
                Err(AmqpError::Returned) => return Err(QueueError::LeaseLost),
                Err(error) if self.since.elapsed() < time / 4 * 3 => {
                    tracing::warn!(error = %chain(&error), "guard queue renewal failed; retrying");
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.copies > 1 { self.trim(broker).await } else { Ok(()) }
    }

    /// Removes all copies except the newest. A missing copy has returned to the main queue.
    async fn trim(&mut self, broker: &Broker) -> Result<(), QueueError> {
        let lane = broker.lane().await?;
        while self.copies > 1 {
            let oldest = lane
                .await_response(lane.channel().basic_get(self.name.as_str().into(), BasicGetOptions::default()))
                .await?;
            let Some(oldest) = oldest.filter(|oldest| oldest.message_count > 0) else {
                return Err(QueueError::LeaseLost);
            };
            lane.await_response(lane.channel().basic_ack(oldest.delivery_tag, BasicAckOptions::default())).await?;
            self.copies -= 1;
        }
        Ok(lane.close().await?)
    }

    /// Deletes the queue. Returns [`QueueError::LeaseLost`] if the job has already left it.
    pub(super) async fn remove(self, broker: &Broker) -> Result<(), QueueError> {
        let lane = broker.lane().await?;
        let deleting = lane.channel().queue_delete(self.name.as_str().into(), QueueDeleteOptions::default());
        if lane.await_response(deleting).await? < self.copies {
            Err(QueueError::LeaseLost)
        } else {
            Ok(lane.close().await?)
        }
    }
}
