//! Errors shared by several ports.

use thiserror::Error;

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
