//! Errors shared by several ports.

use thiserror::Error;

use crate::models::ModelName;
use crate::quota::Exceeded;

/// An adapter's own error as a cause, without exposing the adapter's types.
pub use vocalizer_api::causes::BoxError;

/// An error of a repository.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The key already exists, or the record has changed since it was read. Nothing was written. Read again, then
    /// retry.
    #[error("the record already exists or has changed")]
    Conflict,
    /// The uploader's quota would be exceeded. Nothing was written.
    #[error("quota exceeded")]
    Exceeded(#[source] Exceeded),
    /// The store is unreachable or overloaded; the same call may succeed later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// A stored record is corrupt; a retry does not help.
    #[error("the store contains a corrupt record")]
    Corrupt(#[source] BoxError),
}

/// An error of a blob store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The range is empty, reversed, or extends past the end.
    #[error("the range is not within the blob of {size_bytes} bytes")]
    Range {
        /// The size of the blob.
        size_bytes: u64,
    },
    /// The store has no space left.
    #[error("the blob store is full")]
    Full,
    /// The stored bytes are damaged; a retry does not help.
    #[error("the blob is damaged")]
    Damaged,
    /// The store is unreachable or failed; the same call may succeed later.
    #[error("the blob store is unavailable")]
    Unavailable(#[source] BoxError),
}

/// An error of a queue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The payload exceeds the queue's limit; a retry does not help.
    #[error("the job exceeds the queue's limit of {max_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// The queue takes no jobs of this model, because the operator does not allow it; a retry does not help.
    #[error("there is no queue for the model {model}")]
    NoModel {
        /// The model.
        model: ModelName,
    },
    /// The lease expired, and another worker may have the job.
    #[error("the lease was lost")]
    LeaseLost,
    /// The queue is unreachable; the same call may succeed later.
    #[error("the queue is unavailable")]
    Unavailable(#[source] BoxError),
}
