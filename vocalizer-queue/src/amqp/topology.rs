//! The queues: what they are named and how they are declared.
//!
//! | queue | holds |
//! | --- | --- |
//! | `<name>` | jobs that are ready |
//! | `<name>.delay.<seconds>` | jobs that wait so long; then they go to the tail of `<name>` by themselves |
//! | `<name>.given_up` | jobs that the broker itself gave up, until a server takes note of them |
//! | `<name>.dead` | the newest dead letters |
//! | `<name>.lease.<uuid>` | a copy of one job that is held for long; see [`guard`](super::guard) |

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use uuid::Uuid;

use super::error::AmqpError;
use super::settings::{AmqpQueueKind, AmqpSettings};

/// After so many times that a job took its worker along the broker sets it aside by itself. A backstop: workers that
/// count give it up long before.
pub(super) const DELIVERY_LIMIT: u32 = 20;

/// For queues whose messages are looked at and put back: RabbitMQ 4 has a limit where none is given.
const NO_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// How many dead letters are kept: they carry their songs, and a broker's disk is finite.
pub(super) const MAX_DEAD_LETTERS: u32 = 1_000;

/// The delays there are, in seconds. A queue has one each, since a broker looks at the head of a queue alone, and a long
/// delay before a short one would hold it up.
const DELAYS_S: [u64; 6] = [1, 5, 30, 2 * 60, 10 * 60, 60 * 60];

/// The queue that holds a job for at least this long, or as long as there is; `None` for no time at all.
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

/// Not among the other dead letters: what nobody has taken note of would have to be looked for there, song by song.
pub(super) fn given_up_name(name: &str) -> String {
    format!("{name}.given_up")
}

pub(super) fn guard_name(name: &str) -> String {
    format!("{name}.lease.{}", Uuid::new_v4())
}

/// Every queue whose jobs wait.
pub(super) fn waiting_names(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(name.to_owned()).chain(DELAYS_S.into_iter().map(move |seconds| delay_name(name, seconds)))
}

/// Declares everything that is there for all.
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
        // Beside a queue that was ours as another kind, there are these as well.
        if kind != AmqpQueueKind::Existing || !exists(connection, &side).await? {
            declare_one(connection, &side, arguments, kind).await?;
        }
    }
    Ok(())
}

fn is_declared(error: &AmqpError) -> bool {
    matches!(error, AmqpError::Declared { .. })
}

/// On a channel of its own: the broker ends one on which it refuses something.
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

/// How many messages are ready in a queue that is there.
pub(super) async fn count(channel: &Channel, name: &str) -> Result<u64, lapin::Error> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(name.into(), options, FieldTable::default()).await?;
    Ok(queue.message_count().into())
}

pub(super) async fn durable(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await.map(|_| ())
}

/// A classic queue has none, and is then the same as the one that the original declares.
fn main_arguments(name: &str, kind: AmqpQueueKind) -> FieldTable {
    let mut arguments = of_kind(kind);
    if kind == AmqpQueueKind::Quorum {
        dead_lettering(&mut arguments, kind, &given_up_name(name));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT.into()));
    }
    arguments
}

/// Of a queue from which nothing goes by itself, however often it is looked at.
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

/// Of a queue whose messages go to the queue `name` after a while.
pub(super) fn returning_arguments(name: &str, kind: AmqpQueueKind, after: Duration) -> FieldTable {
    let mut arguments = of_kind(kind);
    dead_lettering(&mut arguments, kind, name);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis(after)));
    arguments
}

/// Beside a queue that somebody else declared ours are classic, which every broker has.
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
        // A message goes from here when it is known to be there, and not before. That asks for the overflow to be so.
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
    fn a_delay_is_rounded_up_and_ends_at_an_hour() {
        let queue = |ms| delay_queue("q", Duration::from_millis(ms));
        assert_eq!(queue(0), None);
        for (ms, seconds) in
            [(1, 1), (1_000, 1), (1_001, 5), (29_000, 30), (600_000, 600), (600_001, 3_600), (9_000_000, 3_600)]
        {
            assert_eq!(queue(ms), Some(format!("q.delay.{seconds}")), "{ms} ms");
        }
    }
}
