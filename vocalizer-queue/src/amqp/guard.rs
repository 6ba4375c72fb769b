//! Holding a job for longer than the broker lets a worker hold a message.
//!
//! The job goes into a queue of its own from which nobody takes. There it waits for so long, and then goes back to all
//! by itself; a worker that is alive puts a fresh copy behind it before that and takes the older one away. Done with the
//! job, it deletes the queue. So whichever way a worker dies, one copy of the job is at the broker at any moment.

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

/// How long the queue stays after its job has left it: no job is ever in it then, unless the broker is in trouble.
const LINGER: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue with one job in it.
pub(super) struct Guard {
    name: String,
    /// When the newest copy was put there.
    since: Instant,
    /// How many copies there are: one, but for the moments of a renewal, or if one was cut off.
    copies: u32,
}

impl Guard {
    /// Puts the job under guard, beside where it is now.
    pub(super) async fn over(broker: &Broker, message: Message) -> Result<Self, AmqpError> {
        let (settings, time) = (&broker.settings, broker.guard_time());
        let name = guard_name(&settings.queue);
        let mut arguments = returning_arguments(&settings.queue, settings.kind, time);
        let expires = time.saturating_mul(2).saturating_add(LINGER);
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(millis(expires)));
        let lane = broker.lane().await?;
        lane.ask(durable(lane.channel(), &name, arguments)).await?;
        let since = Instant::now();
        if let Err(error) = broker.publisher.send(&name, message).await {
            // Else there would be one more for each time that it is tried.
            let deleting = lane.channel().queue_delete(name.as_str().into(), QueueDeleteOptions::default());
            let _ = lane.ask(deleting).await;
            return Err(error);
        }
        Ok(Self { name, since, copies: 1 })
    }

    /// Holds the job for as long again.
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
                    tracing::warn!(error = %chain(&error), "a job could not be held for longer yet");
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.copies > 1 { self.trim(broker).await } else { Ok(()) }
    }

    /// Takes all copies away but the newest. One that is missing has gone back to all.
    async fn trim(&mut self, broker: &Broker) -> Result<(), QueueError> {
        let lane = broker.lane().await?;
        while self.copies > 1 {
            let oldest =
                lane.ask(lane.channel().basic_get(self.name.as_str().into(), BasicGetOptions::default())).await?;
            let Some(oldest) = oldest.filter(|oldest| oldest.message_count > 0) else {
                return Err(QueueError::LeaseLost);
            };
            lane.ask(lane.channel().basic_ack(oldest.delivery_tag, BasicAckOptions::default())).await?;
            self.copies -= 1;
        }
        Ok(lane.close().await?)
    }

    /// Takes the job away. [`QueueError::LeaseLost`] where it had left by itself.
    pub(super) async fn remove(self, broker: &Broker) -> Result<(), QueueError> {
        let lane = broker.lane().await?;
        let deleting = lane.channel().queue_delete(self.name.as_str().into(), QueueDeleteOptions::default());
        if lane.ask(deleting).await? < self.copies { Err(QueueError::LeaseLost) } else { Ok(lane.close().await?) }
    }
}
