//! What messages look like.
//!
//! The body is the song and `message_id` its hash, as with the original. What is added stands in headers:
//!
//! | header | says |
//! | --- | --- |
//! | `x-vocalizer-source` | where to fetch the song; the body is empty then |
//! | `x-vocalizer-attempts` | how many attempts were begun before this message was published |
//! | `x-vocalizer-reason` | why it was set aside |
//! | `x-vocalizer-hash` | which song it was set aside for, where `message_id` does not say |

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, Job, JobPayload};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongHash};

use super::error::AmqpError;
use super::topology::DELIVERY_LIMIT;

const SOURCE: &str = "x-vocalizer-source";
const ATTEMPTS: &str = "x-vocalizer-attempts";
const REASON: &str = "x-vocalizer-reason";
const HASH: &str = "x-vocalizer-hash";

/// How often a quorum queue has given a message away in vain.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// From where, and why, the broker itself has moved a message; the last time stands first.
const DEATHS: &str = "x-death";

/// Longest location: all headers go into one frame, which is of 128 KiB with RabbitMQ.
pub(super) const MAX_SOURCE_BYTES: usize = 16 << 10;

const PERSISTENT: u8 = 2;

/// A message to be published.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

impl Message {
    /// The job after so many attempts.
    pub(super) fn of(job: &Job, attempts: u32) -> Result<Self, AmqpError> {
        let mut headers = FieldTable::default();
        let body = match &job.payload {
            JobPayload::Inline(bytes) => bytes.clone(),
            JobPayload::Claim(source) => {
                headers.insert(SOURCE.into(), text(source.expose()));
                Bytes::new()
            }
            _ => return Err(AmqpError::Stored),
        };
        if attempts > 0 {
            headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(attempts.into()));
        }
        let properties = properties(headers).with_message_id(job.hash.to_string().into());
        Ok(Self { body, properties })
    }

    /// The same as a dead letter.
    pub(super) fn dead(self, reason: &FailureReason) -> Self {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        headers.insert(REASON.into(), text(reason.as_str()));
        Self { properties: self.properties.with_headers(headers), ..self }
    }
}

fn properties(headers: FieldTable) -> BasicProperties {
    BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn text_of(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// What came from the broker.
pub(super) struct Received {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
    /// Whether somebody had it before.
    pub(super) redelivered: bool,
}

impl Received {
    /// The job in it, or what is wrong with it. Hashes the body, so not for a thread that others wait for.
    pub(super) fn job(&self) -> Result<Job, &'static str> {
        let Some(message_id) = self.properties.message_id() else { return Err("the message has no message_id") };
        let hash: SongHash =
            message_id.as_str().parse().map_err(|_| "the message_id is no SHA-256 in lower-case hex")?;
        if let Some(source) = self.header_text(SOURCE) {
            return Ok(Job { hash, payload: JobPayload::Claim(Secret::new(source.to_owned())) });
        }
        if self.body.is_empty() {
            return Err("the message has neither a song nor says where it is");
        }
        if SongHash::of(&self.body) != hash {
            return Err("the song is not the one that the message_id names");
        }
        Ok(Job { hash, payload: JobPayload::Inline(self.body.clone()) })
    }

    /// How many attempts were begun before.
    pub(super) fn attempts(&self) -> u32 {
        self.header_number(ATTEMPTS).saturating_add(self.header_number(DELIVERY_COUNT))
    }

    /// Whether somebody had it and the broker does not count that.
    pub(super) fn is_uncounted(&self) -> bool {
        self.redelivered && self.header_number(DELIVERY_COUNT) == 0
    }

    /// The same as a dead letter, as it came.
    pub(super) fn dead(&self, reason: &str) -> Message {
        let mut headers = FieldTable::default();
        headers.insert(REASON.into(), text(reason));
        headers.insert(HASH.into(), text(&SongHash::of(&self.body).to_string()));
        headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(self.attempts().into()));
        let properties = properties(headers);
        let properties = match self.properties.message_id() {
            Some(id) => properties.with_message_id(id.clone()),
            None => properties,
        };
        Message { body: self.body.clone(), properties }
    }

    /// What a dead letter says.
    pub(super) fn dead_letter(&self) -> DeadLetter {
        let named = self.header_text(HASH).or_else(|| self.properties.message_id().as_ref().map(|id| id.as_str()));
        let hash = named.and_then(|hash| hash.parse().ok()).unwrap_or_else(|| SongHash::of(&self.body));
        let (reason, uncounted) = match (self.header_text(REASON), self.last_death()) {
            (Some(reason), _) => (FailureReason::new(reason), 0),
            (None, Some("delivery_limit")) => {
                (FailureReason::new("it took along every worker that tried it"), DELIVERY_LIMIT + 1)
            }
            (None, Some("rejected")) => (FailureReason::new("a worker refused it and did not say why"), 1),
            (None, said) => (FailureReason::new(said.unwrap_or_default()), 0),
        };
        // What the dead queue has delivered were looks at it.
        DeadLetter { hash, reason, attempts: self.header_number(ATTEMPTS).saturating_add(uncounted) }
    }

    /// Why the broker moved it last: it may have waited for its time in another queue before.
    fn last_death(&self) -> Option<&str> {
        text_of(self.of_last_death("reason")?)
    }

    /// When it did, as the end of the second that it tells.
    pub(super) fn died_at(&self) -> Option<OffsetDateTime> {
        let AMQPValue::Timestamp(seconds) = self.of_last_death("time")? else { return None };
        OffsetDateTime::from_unix_timestamp(i64::try_from(*seconds).ok()?.checked_add(1)?).ok()
    }

    fn of_last_death(&self, what: &str) -> Option<&AMQPValue> {
        let AMQPValue::FieldArray(deaths) = self.header(DEATHS)? else { return None };
        let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
        last.inner().get(what)
    }

    fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    fn header_text(&self, name: &str) -> Option<&str> {
        text_of(self.header(name)?)
    }

    /// 0 where it is none, or less.
    fn header_number(&self, name: &str) -> u32 {
        let number = match self.header(name) {
            Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongInt(number)) => i64::from(*number),
            Some(AMQPValue::LongUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongLongInt(number)) => *number,
            _ => 0,
        };
        u32::try_from(number.max(0)).unwrap_or(u32::MAX)
    }
}
