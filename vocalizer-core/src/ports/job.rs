//! Jobs.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

use crate::account::UserId;
use crate::models::{Capabilities, ModelName};
use crate::secret::Secret;
use crate::song::SongHash;
use crate::trace::TraceContext;

/// A song to be split.
#[derive(Debug, Clone)]
pub struct Job {
    /// The hash of the song's bytes.
    pub hash: SongHash,
    /// The song's bytes, or where to get them.
    pub payload: JobPayload,
    /// The model to split with; `None` for the worker's default.
    pub model: Option<ModelName>,
    /// Identifies the job and addresses its result: the hash, or the [key](crate::models::result_key) of a further model.
    pub key: SongHash,
    /// The trace in which it was requested.
    pub trace: Option<JobTrace>,
}

impl Job {
    /// Returns a job for the default model.
    #[must_use]
    pub const fn new(hash: SongHash, payload: JobPayload) -> Self {
        Self { hash, payload, model: None, key: hash, trace: None }
    }

    /// Sets the model and the key of the result.
    #[must_use]
    pub fn with_model(self, model: ModelName, key: SongHash) -> Self {
        Self { model: Some(model), key, ..self }
    }

    /// Sets the trace.
    #[must_use]
    pub fn with_trace(self, trace: Option<JobTrace>) -> Self {
        Self { trace, ..self }
    }

    /// Returns whether a worker with these capabilities takes the job.
    #[must_use]
    pub fn fits(&self, capabilities: &Capabilities) -> bool {
        capabilities.take(self.model, self.key == self.hash)
    }
}

/// The trace of a job. Its text, for stores, is the trace context and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTrace {
    /// The span that published it.
    pub parent: TraceContext,
    /// When it was published, in milliseconds since 1970; `None` if unknown.
    pub published_at_ms: Option<i64>,
}

/// The text is not the trace of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid trace of a job")]
pub struct InvalidJobTrace;

impl fmt::Display for JobTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.published_at_ms {
            Some(published_at_ms) => write!(f, "{} {published_at_ms}", self.parent),
            None => self.parent.fmt(f),
        }
    }
}

impl FromStr for JobTrace {
    type Err = InvalidJobTrace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (parent, published_at_ms) = match text.split_once(' ') {
            Some((parent, time)) => (parent, Some(time.parse().map_err(|_| InvalidJobTrace)?)),
            None => (text, None),
        };
        Ok(Self { parent: parent.parse().map_err(|_| InvalidJobTrace)?, published_at_ms })
    }
}

/// The line in which a job waits: jobs of one owner and priority, in the order in which they became ready.
///
/// A fair queue delivers from the lines of the highest priority, and from these in turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobLine {
    /// The user whose song it is; `None` for all anonymous songs together.
    pub owner: Option<UserId>,
    /// Higher is earlier; 0 unless the operator sets another one.
    pub priority: i32,
}

/// How a job carries its song.
#[derive(Clone)]
#[non_exhaustive]
pub enum JobPayload {
    /// The backend has the bytes under the hash: for queues that run beside the backend's store.
    Stored,
    /// The bytes of the file, as the original system sends them.
    Inline(Bytes),
    /// A claim check: where to fetch the bytes, for files above the broker's size limit. Hidden from logs, because the
    /// location may contain a signature.
    Claim(Secret<String>),
}

/// Shows the size only: a user's song, up to 75 MiB, must not end up in a log.
impl fmt::Debug for JobPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("Stored"),
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Claim(location) => f.debug_tuple("Claim").field(location).finish(),
        }
    }
}
