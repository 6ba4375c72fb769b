//! Names and arguments of the queues.
//!
//! | queue | content |
//! | --- | --- |
//! | `<name>` | ready jobs |
//! | `<name>.delay.<seconds>` | delayed jobs; on expiry the broker moves them to the tail of `<name>` |
//! | `<name>.given_up` | jobs that the broker gave up, until a server processes them |
//! | `<name>.dead` | the newest dead letters |
//! | `<name>.lease.<uuid>` | a copy of one long-running job; see [`guard`](super::guard) |

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use uuid::Uuid;

use super::error::AmqpError;
use super::kind::AmqpQueueKind;
use super::settings::AmqpSettings;

/// Number of returned deliveries after which the broker gives a job up. A backstop: workers that count attempts give up
/// much earlier.
pub(super) const DELIVERY_LIMIT: u32 = 20;

/// For queues whose messages are read and requeued: RabbitMQ 4 has a limit by default.
const NO_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// Maximum number of dead letters: they contain their songs, and disk space is limited.
pub(super) const MAX_DEAD_LETTERS: u32 = 1_000;

/// The available delays, in seconds. Each has its own queue: a broker expires only the head of a queue, so a long delay
/// would block a shorter one behind it.
const DELAYS_S: [u64; 6] = [1, 5, 30, 2 * 60, 10 * 60, 60 * 60];

/// Returns the queue for a delay, rounded up and capped at the longest; `None` for no delay.
pub(super) fn delay_queue(name: &str, delay: Duration) -> Option<String> {
    if delay.is_zero() {
        return None;
    }
    let [.., longest] = DELAYS_S;
    let seconds = DELAYS_S.into_iter().find(|seconds| Duration::from_secs(*seconds) >= delay).unwrap_or(longest);
    Some(delay_name(name, seconds))
}

fn delay_name(name: &str, seconds: u64) -> String {
    format!("{name}.delay.{seconds}")
}

pub(super) fn dead_name(name: &str) -> String {
    format!("{name}.dead")
}

/// Separate from the other dead letters: unprocessed letters would have to be searched for there, song by song.
pub(super) fn given_up_name(name: &str) -> String {
    format!("{name}.given_up")
}

pub(super) fn guard_name(name: &str) -> String {
    format!("{name}.lease.{}", Uuid::new_v4())
}

/// All queues with waiting jobs.
pub(super) fn waiting_names(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(name.to_owned()).chain(DELAYS_S.into_iter().map(move |seconds| delay_name(name, seconds)))
}

/// Declares the shared queues.
pub(super) async fn declare(connection: &Connection, settings: &AmqpSettings) -> Result<(), AmqpError> {
    let (name, kind) = (settings.queue.as_str(), settings.kind);
    if kind == AmqpQueueKind::Existing {
        let channel = connection.create_channel().await?;
        count(&channel, name).await?;
    } else if let Err(error) = declare_one(connection, name, main_arguments(name, kind), kind).await {
        let other = if kind == AmqpQueueKind::Quorum { AmqpQueueKind::Classic } else { AmqpQueueKind::Quorum };
        let is_other =
            is_declared(&error) && declare_one(connection, name, main_arguments(name, other), other).await.is_ok();
        return Err(if is_other { error.fitting(other) } else { error });
    }
    let delays = DELAYS_S
        .into_iter()
        .map(|seconds| (delay_name(name, seconds), returning_arguments(name, kind, Duration::from_secs(seconds))));
    let kept = [(dead_name(name), dead_arguments(kind)), (given_up_name(name), kept_arguments(kind))];
    let side = kept.into_iter().chain(delays);
    for (side, arguments) in side {
        // An existing queue may have been declared by this crate with another kind; then its helper queues exist.
        if kind != AmqpQueueKind::Existing || !exists(connection, &side).await? {
            declare_one(connection, &side, arguments, kind).await?;
        }
    }
    Ok(())
}

fn is_declared(error: &AmqpError) -> bool {
    matches!(error, AmqpError::Declared { .. })
}

/// Uses its own channel: the broker closes a channel on an error.
async fn declare_one(
    connection: &Connection,
    name: &str,
    arguments: FieldTable,
    kind: AmqpQueueKind,
) -> Result<(), AmqpError> {
    let channel = connection.create_channel().await?;
    durable(&channel, name, arguments).await.map_err(|error| AmqpError::declaring(error, kind))?;
    Ok(channel.close(200, "OK".into()).await?)
}

async fn exists(connection: &Connection, name: &str) -> Result<bool, AmqpError> {
    let channel = connection.create_channel().await?;
    match count(&channel, name).await.map_err(AmqpError::from) {
        Ok(_) => Ok(true),
        Err(AmqpError::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the number of ready messages in an existing queue.
pub(super) async fn count(channel: &Channel, name: &str) -> Result<u64, lapin::Error> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(name.into(), options, FieldTable::default()).await?;
    Ok(queue.message_count().into())
}

/// Returns the number of consumers of an existing queue.
pub(super) async fn consumers(channel: &Channel, name: &str) -> Result<u32, lapin::Error> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    Ok(channel.queue_declare(name.into(), options, FieldTable::default()).await?.consumer_count())
}

pub(super) async fn durable(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await.map(|_| ())
}

/// A classic queue has no arguments, like the one that the original declares.
fn main_arguments(name: &str, kind: AmqpQueueKind) -> FieldTable {
    let mut arguments = of_kind(kind);
    if kind == AmqpQueueKind::Quorum {
        dead_lettering(&mut arguments, kind, &given_up_name(name));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT.into()));
    }
    arguments
}

/// Arguments of a queue that keeps its messages however often they are read.
fn kept_arguments(kind: AmqpQueueKind) -> FieldTable {
    let mut arguments = of_kind(kind);
    if kind == AmqpQueueKind::Quorum {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(NO_DELIVERY_LIMIT));
    }
    arguments
}

fn dead_arguments(kind: AmqpQueueKind) -> FieldTable {
    let mut arguments = kept_arguments(kind);
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_DEAD_LETTERS.into()));
    arguments
}

/// Arguments of a queue whose messages move to the queue `name` after a delay.
pub(super) fn returning_arguments(name: &str, kind: AmqpQueueKind, after: Duration) -> FieldTable {
    let mut arguments = of_kind(kind);
    dead_lettering(&mut arguments, kind, name);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis(after)));
    arguments
}

/// Helper queues of an existing queue are classic, which every broker supports.
fn of_kind(kind: AmqpQueueKind) -> FieldTable {
    let mut arguments = FieldTable::default();
    if kind == AmqpQueueKind::Quorum {
        arguments.insert("x-queue-type".into(), text("quorum"));
    }
    arguments
}

fn dead_lettering(arguments: &mut FieldTable, kind: AmqpQueueKind, to: &str) {
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(to));
    if kind == AmqpQueueKind::Quorum {
        // The broker removes a message only after the target has confirmed it. This strategy requires `reject-publish`.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_is_rounded_up_and_capped_at_one_hour() {
        let queue = |ms| delay_queue("q", Duration::from_millis(ms));
        assert_eq!(queue(0), None);
        for (ms, seconds) in
            [(1, 1), (1_000, 1), (1_001, 5), (29_000, 30), (600_000, 600), (600_001, 3_600), (9_000_000, 3_600)]
        {
            assert_eq!(queue(ms), Some(format!("q.delay.{seconds}")), "{ms} ms");
        }
    }
}
