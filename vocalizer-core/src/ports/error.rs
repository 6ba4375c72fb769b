//! Errors that several ports share.

use thiserror::Error;

use crate::quota::Exceeded;

/// An adapter's own error, carried as a cause without naming the adapter's types.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What can go wrong in a repository.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// What is stored does not fit what was asked: the key is taken, or the record has changed since it was read.
    /// Nothing was written. Read again and decide anew.
    #[error("the record is taken or has changed")]
    Conflict,
    /// A limit of the uploader would be exceeded. Nothing was written.
    #[error("a limit is exceeded")]
    Exceeded(#[source] Exceeded),
    /// The store cannot be reached or is overloaded; the same call may work later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// What is stored cannot be read as what it should be; no retry will help.
    #[error("the store holds a record that cannot be read")]
    Corrupt(#[source] BoxError),
}
