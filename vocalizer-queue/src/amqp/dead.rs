//! Looking at dead letters.

use std::collections::VecDeque;
use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicNackOptions};
use tokio::time::{Instant, sleep};
use vocalizer_core::ports::DeadLetter;

use super::broker::Broker;
use super::error::AmqpError;
use super::lane::Lane;
use super::topology::{MAX_DEAD_LETTERS, count, dead_name, given_up_name};
use super::wire::Received;

/// How many messages are put back before the broker is waited for. It keeps up with 32.
const AT_A_TIME: usize = 16;

/// How long messages that were put back may take until everybody sees them.
const SETTLING: Duration = Duration::from_secs(2);

/// The newest dead letters, newest first. A broker shows its messages only to those who take them, and the oldest first;
/// so all are taken, one after the other, and put back in their order. Nobody else sees them meanwhile.
pub(super) async fn dead_letters(broker: &Broker, limit: usize) -> Result<Vec<DeadLetter>, AmqpError> {
    let lane = broker.lane().await?;
    let read = read_all(&lane, &broker.settings.queue, limit).await;
    if let Err(error) = &read {
        broker.hear(&lane, error);
    }
    let letters = read?;
    lane.close().await?;
    Ok(letters.into())
}

/// Those first that nobody has taken note of yet: they are the newest, but for what was filed within the last minute.
async fn read_all(lane: &Lane, name: &str, limit: usize) -> Result<VecDeque<DeadLetter>, AmqpError> {
    let mut letters = read(lane, &given_up_name(name), limit).await?;
    let limit = limit.saturating_sub(letters.len());
    if limit > 0 {
        letters.extend(read(lane, &dead_name(name), limit).await?);
    }
    Ok(letters)
}

async fn read(lane: &Lane, name: &str, limit: usize) -> Result<VecDeque<DeadLetter>, AmqpError> {
    let (mut letters, mut delivery_tags) = (VecDeque::new(), Vec::new());
    for _ in 0..MAX_DEAD_LETTERS {
        let next = lane.ask(lane.channel().basic_get(name.into(), BasicGetOptions::default())).await?;
        let Some(next) = next.map(|next| next.delivery) else { break };
        delivery_tags.push(next.delivery_tag);
        let received = Received { body: next.data.into(), properties: next.properties, redelivered: next.redelivered };
        letters.push_front(received.dead_letter());
        letters.truncate(limit);
    }
    // One by one and a few at a time: a quorum queue that is behind with them turns their order round.
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let mut back = 0;
    for few in delivery_tags.chunks(AT_A_TIME) {
        for delivery_tag in few {
            lane.ask(lane.channel().basic_nack(*delivery_tag, options)).await?;
            back += 1;
        }
        let began = Instant::now();
        while lane.ask(count(lane.channel(), name)).await? < back && began.elapsed() < SETTLING {
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(letters)
}
