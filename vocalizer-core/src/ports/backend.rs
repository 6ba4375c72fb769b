//! The backend as seen by a worker.

use async_trait::async_trait;
use thiserror::Error;
use vocalizer_api::Wanted;

use super::{Blob, BoxError, Job, StemSet};
use crate::song::{FailureReason, SongHash};

/// The calls from a worker to the backend, in the same process or over HTTP.
///
/// Every call concerns a hash and is idempotent. A worker makes the calls in the order in which they appear here.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Reports that a lease was taken: songs with this hash become `SPLITTING`, if any still need splitting.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError>;

    /// Returns the song's bytes, for a job that does not carry them; `None` if the song was deleted.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError>;

    /// Reports progress. The response tells whether to continue.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; the worker may continue.
    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError>;

    /// Delivers the stems. On return they are durable and every song with the hash is `SPLIT`. Nothing changes if they
    /// were there already ([`Wanted::Done`]) or all songs with the hash were deleted ([`Wanted::Gone`]).
    ///
    /// # Errors
    ///
    /// [`BackendError`]; deliver again.
    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError>;

    /// Reports that the lease was given back: songs with this hash wait again.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError>;

    /// Reports that the song cannot be split: every song with this hash becomes `FAILED`.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError>;
}

/// An error of a call from a worker to the backend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend is unreachable or out of disk space; the same call may succeed later.
    #[error("the backend is unavailable")]
    Unavailable(#[source] BoxError),
    /// The backend rejected the request; a retry fails as well until its cause is fixed.
    #[error("the backend refused: {why}")]
    Refused {
        /// The reason in the response.
        why: String,
    },
}
