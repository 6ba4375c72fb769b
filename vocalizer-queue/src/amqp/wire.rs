//! Message format.
//!
//! The body is the song and `message_id` its hash, as in the original. Additional headers:
//!
//! | header | content |
//! | --- | --- |
//! | `x-vocalizer-source` | where to download the song; the body is empty |
//! | `x-vocalizer-attempts` | number of attempts started before this message was published |
//! | `x-vocalizer-reason` | why it became a dead letter |
//! | `x-vocalizer-model` | the model to split with |
//! | `x-vocalizer-result` | key of a further model's result, in place of the hash |
//! | `traceparent` | the W3C trace context of the span that published the job |
//! | `x-vocalizer-published-ms` | when it did so, in milliseconds since 1970 |
//! | `x-vocalizer-hash` | hash of the dead letter's song, if `message_id` does not contain it |

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, Job, JobPayload, JobTrace};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongHash};

use super::error::AmqpError;
use super::topology::DELIVERY_LIMIT;

const SOURCE: &str = "x-vocalizer-source";
const ATTEMPTS: &str = "x-vocalizer-attempts";
const REASON: &str = "x-vocalizer-reason";
const MODEL: &str = "x-vocalizer-model";
const RESULT: &str = "x-vocalizer-result";
const HASH: &str = "x-vocalizer-hash";
const TRACE: &str = "traceparent";
const PUBLISHED: &str = "x-vocalizer-published-ms";

/// Number of unsuccessful deliveries by a quorum queue.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// From which queue and why the broker dead-lettered a message; the latest event comes first.
const DEATHS: &str = "x-death";

/// Maximum length of the location: all headers must fit one frame, which is 128 KiB in RabbitMQ.
pub(super) const MAX_SOURCE_BYTES: usize = 16 << 10;

const PERSISTENT: u8 = 2;

/// A message to publish.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

impl Message {
    /// Creates the message of a job with this number of attempts.
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
        if let Some(model) = job.model {
            headers.insert(MODEL.into(), text(model.as_str()));
        }
        if job.key != job.hash {
            headers.insert(RESULT.into(), text(&job.key.to_string()));
        }
        if attempts > 0 {
            headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(attempts.into()));
        }
        if let Some(JobTrace { parent, published_at_ms }) = job.trace {
            headers.insert(TRACE.into(), text(&parent.to_string()));
            if let Some(published_at_ms) = published_at_ms {
                headers.insert(PUBLISHED.into(), AMQPValue::LongLongInt(published_at_ms));
            }
        }
        let properties = properties(headers).with_message_id(job.hash.to_string().into());
        Ok(Self { body, properties })
    }

    /// Converts it to a dead letter.
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

/// A message from the broker.
pub(super) struct Received {
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
    /// Whether it was delivered before.
    pub(super) redelivered: bool,
}

impl Received {
    /// Parses the job, or returns why it is invalid. Hashes the body, so it must run on a blocking thread.
    pub(super) fn job(&self) -> Result<Job, &'static str> {
        let Some(message_id) = self.properties.message_id() else { return Err("the message has no message_id") };
        let hash: SongHash =
            message_id.as_str().parse().map_err(|_| "the message_id is not a SHA-256 in lower-case hex")?;
        if let Some(source) = self.header_text(SOURCE) {
            return self.of_model(Job::new(hash, JobPayload::Claim(Secret::new(source.to_owned()))));
        }
        if self.body.is_empty() {
            return Err("the message has neither a song nor a download location");
        }
        if SongHash::of(&self.body) != hash {
            return Err("the song does not match the message_id");
        }
        self.of_model(Job::new(hash, JobPayload::Inline(self.body.clone())))
    }

    /// Adds the model. Messages of original backends have none.
    fn of_model(&self, job: Job) -> Result<Job, &'static str> {
        let invalid = "the headers x-vocalizer-model and x-vocalizer-result are invalid";
        let model = self.header_text(MODEL).map(str::parse).transpose().map_err(|_| invalid)?;
        let key = self.header_text(RESULT).map(str::parse).transpose().map_err(|_| invalid)?;
        Ok(Job { model, key: key.unwrap_or(job.hash), trace: self.trace(), ..job })
    }

    /// The trace; `None` if it is missing or invalid, since it must not cost a song its job.
    fn trace(&self) -> Option<JobTrace> {
        let parent = self.header_text(TRACE)?.parse().ok()?;
        let published_at_ms = match self.header(PUBLISHED) {
            Some(AMQPValue::LongLongInt(published_at_ms)) => Some(*published_at_ms),
            _ => None,
        };
        Some(JobTrace { parent, published_at_ms })
    }

    /// Number of earlier attempts.
    pub(super) fn attempts(&self) -> u32 {
        self.header_number(ATTEMPTS).saturating_add(self.header_number(DELIVERY_COUNT))
    }

    /// Whether it was delivered before and the broker does not count deliveries.
    pub(super) fn is_uncounted(&self) -> bool {
        self.redelivered && self.header_number(DELIVERY_COUNT) == 0
    }

    /// Converts it to a dead letter, body unchanged.
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

    /// Parses it as a dead letter.
    pub(super) fn dead_letter(&self) -> DeadLetter {
        let named = self.header_text(HASH).or_else(|| self.header_text(RESULT));
        let named = named.or_else(|| self.properties.message_id().as_ref().map(|id| id.as_str()));
        let hash = named.and_then(|hash| hash.parse().ok()).unwrap_or_else(|| SongHash::of(&self.body));
        let (reason, uncounted) = match (self.header_text(REASON), self.last_death()) {
            (Some(reason), _) => (FailureReason::new(reason), 0),
            (None, Some("delivery_limit")) => {
                (FailureReason::new("every worker that tried it died"), DELIVERY_LIMIT + 1)
            }
            (None, Some("rejected")) => (FailureReason::new("a worker rejected it without a reason"), 1),
            (None, reason) => (FailureReason::new(reason.unwrap_or_default()), 0),
        };
        // `x-delivery-count` is ignored here: in the dead-letter queue it counts reads.
        DeadLetter { hash, reason, attempts: self.header_number(ATTEMPTS).saturating_add(uncounted) }
    }

    /// Why the broker dead-lettered it last; earlier events may come from delay queues.
    fn last_death(&self) -> Option<&str> {
        text_of(self.last_death_field("reason")?)
    }

    /// When it did so, rounded up to the next second (the header has whole seconds).
    pub(super) fn died_at(&self) -> Option<OffsetDateTime> {
        let AMQPValue::Timestamp(seconds) = self.last_death_field("time")? else { return None };
        OffsetDateTime::from_unix_timestamp(i64::try_from(*seconds).ok()?.checked_add(1)?).ok()
    }

    fn last_death_field(&self, what: &str) -> Option<&AMQPValue> {
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

    /// Returns 0 if it is missing, not a number, or negative.
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
