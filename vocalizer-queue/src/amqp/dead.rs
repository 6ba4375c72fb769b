//! Listing dead letters.

use std::collections::VecDeque;
use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicNackOptions};
use tokio::time::{Instant, sleep};
use vocalizer_core::ports::DeadLetter;

use super::broker::Broker;
use super::channel::OwnedChannel;
use super::error::AmqpError;
use super::topology::{MAX_DEAD_LETTERS, count, dead_name, given_up_name};
use super::wire::Received;

/// Number of messages to requeue before waiting for the broker. It keeps up with 32.
const REQUEUE_BATCH: usize = 16;

/// Maximum time for requeued messages to become visible again.
const REQUEUE_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the newest dead letters, newest first. AMQP has no browsing: this takes all messages, oldest first, and
/// requeues them in order. Other consumers do not see them meanwhile.
pub(super) async fn dead_letters(broker: &Broker, limit: usize) -> Result<Vec<DeadLetter>, AmqpError> {
    let lane = broker.lane().await?;
    let read = read_all(&lane, &broker.settings.queue, limit).await;
    if let Err(error) = &read {
        broker.redeclare_if_missing(&lane, error);
    }
    let letters = read?;
    lane.close().await?;
    Ok(letters.into())
}

/// Reads `.given_up` first: its letters are the newest, apart from those filed within the last minute.
async fn read_all(lane: &OwnedChannel, name: &str, limit: usize) -> Result<VecDeque<DeadLetter>, AmqpError> {
    let mut letters = read(lane, &given_up_name(name), limit).await?;
    let limit = limit.saturating_sub(letters.len());
    if limit > 0 {
        letters.extend(read(lane, &dead_name(name), limit).await?);
    }
    Ok(letters)
}

async fn read(lane: &OwnedChannel, name: &str, limit: usize) -> Result<VecDeque<DeadLetter>, AmqpError> {
    let (mut letters, mut delivery_tags) = (VecDeque::new(), Vec::new());
    for _ in 0..MAX_DEAD_LETTERS {
        let next = lane.await_response(lane.channel().basic_get(name.into(), BasicGetOptions::default())).await?;
        let Some(next) = next.map(|next| next.delivery) else { break };
        delivery_tags.push(next.delivery_tag);
        let received = Received { body: next.data.into(), properties: next.properties, redelivered: next.redelivered };
        letters.push_front(received.dead_letter());
        letters.truncate(limit);
    }
    // Requeue one by one in small batches: a quorum queue that falls behind reverses the order.
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let mut requeued = 0;
    for batch in delivery_tags.chunks(REQUEUE_BATCH) {
        for delivery_tag in batch {
            lane.await_response(lane.channel().basic_nack(*delivery_tag, options)).await?;
            requeued += 1;
        }
        let started = Instant::now();
        while lane.await_response(count(lane.channel(), name)).await? < requeued && started.elapsed() < REQUEUE_TIMEOUT
        {
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(letters)
}
