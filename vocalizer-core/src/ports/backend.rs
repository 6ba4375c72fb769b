//! The backend, as a worker knows it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Blob, BoxError, Job, StemSet};
use crate::song::{FailureReason, SongHash};

/// What a worker tells the backend, and hears from it: beside it in one process, or over HTTP.
///
/// Everything is about a hash and may be repeated. A worker calls these in the order in which they stand here.
#[async_trait]
pub trait Backend: Send + Sync {
    /// A lease was taken: songs with this hash are `SPLITTING` from now on, if anybody still wants them.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError>;

    /// The song's bytes, for a job that does not bring them along; `None` when it is gone.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError>;

    /// So much is done, and so says whether to go on.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; the work may go on all the same.
    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError>;

    /// Here are the stems. On return they are durable and every song with the hash is `SPLIT`, unless it was so before
    /// ([`Wanted::Done`], nothing changes) or nobody wants it any more ([`Wanted::Gone`]).
    ///
    /// # Errors
    ///
    /// [`BackendError`]; deliver again.
    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError>;

    /// The lease was given back: songs with this hash wait again.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError>;

    /// The song cannot be split: every song with this hash is `FAILED` from now on.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError>;
}

/// Whether anybody waits for the stems of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Somebody does.
    Yes,
    /// They are there.
    Done,
    /// The last song with the hash was deleted.
    Gone,
}

/// What can go wrong between a worker and the backend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend cannot be reached, or has no room; the same call may work later.
    #[error("the backend is unavailable")]
    Unavailable(#[source] BoxError),
    /// The backend understood and refused: another try brings the same answer until somebody changes something.
    #[error("the backend refused: {why}")]
    Refused {
        /// What it said.
        why: String,
    },
}
