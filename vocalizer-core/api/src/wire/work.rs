//! Messages between workers and the backend.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::LeaseId;

/// The longest time a worker may wait for a job in one request.
pub const MAX_JOB_WAIT: Duration = Duration::from_secs(60);

/// The longest delay a worker may request for a job.
pub const MAX_JOB_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the stems of a hash are still needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A song waits for them.
    Yes,
    /// They are already stored.
    Done,
    /// The last song with the hash was deleted.
    Gone,
}

/// The `data` of a response to a worker's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WantedData {
    /// Whether the stems are still wanted.
    pub wanted: Wanted,
    /// Whether a result may contain FLAC and a provenance. Older servers do not say it and take four MP3s only.
    #[serde(default)]
    pub lossless: bool,
}

/// A leased job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct JobView {
    /// The ID used to extend and settle the lease.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub lease: LeaseId,
    /// The song's hash.
    pub hash: String,
    /// The attempt number, from 1.
    pub attempt: u32,
    /// How long the lease lasts from now and from each extension, in milliseconds.
    pub visibility_ms: u64,
    /// The model to split with; missing for the worker's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What takes the place of the hash in the paths of reports and of the result; missing for the hash itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The W3C trace context in which the song was requested; missing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When the job was published, in milliseconds since 1970; missing if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at_ms: Option<i64>,
}

impl JobView {
    /// Returns a leased job.
    #[must_use]
    pub const fn new(lease: LeaseId, hash: String, attempt: u32, visibility_ms: u64) -> Self {
        Self {
            lease,
            hash,
            attempt,
            visibility_ms,
            model: None,
            result: None,
            traceparent: None,
            published_at_ms: None,
        }
    }
}

/// The `data` of a response to a worker's request for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["job"])))]
pub struct JobData {
    /// The job; `null`, never missing, if there was none in time.
    pub job: Option<JobView>,
}
