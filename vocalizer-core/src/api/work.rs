//! What workers and the backend say to each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ports::Wanted;
use crate::service::{LeaseId, LeasedJob};

/// Longest time that a worker may have the backend wait for a job.
pub const MAX_JOB_WAIT: Duration = Duration::from_secs(60);

/// Longest time that a worker may put a job off for.
pub const MAX_JOB_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `data` of an answer to a worker that reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WantedData {
    /// Whether anybody waits for the stems.
    pub wanted: Wanted,
}

/// A job as a worker gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobView {
    /// What to extend and to settle it by.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub lease: LeaseId,
    /// The hash of the song.
    pub hash: String,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// How long the lease holds from now, and again from each time it is extended, in milliseconds.
    pub visibility_ms: u64,
}

impl From<LeasedJob> for JobView {
    fn from(job: LeasedJob) -> Self {
        let LeasedJob { lease, hash, attempt, visibility } = job;
        Self { lease, hash: hash.to_string(), attempt, visibility_ms: millis(visibility) }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The `data` of an answer to a worker that asks for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["job"])))]
pub struct JobData {
    /// The job; `null`, never missing, where none came in the time.
    pub job: Option<JobView>,
}
