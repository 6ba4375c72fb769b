//! The archive in which a worker sends four stems.

use async_trait::async_trait;
use thiserror::Error;

use super::{Blob, BlobError, BlobStore, BlobStream, BlobWriter, BoxError, StemSet};
use crate::part::Stem;

/// Stems that came in and have no name yet.
pub type Received = Vec<(Stem, Box<dyn BlobWriter>)>;

/// Reads result archives without trusting them.
#[async_trait]
pub trait ResultReader: Send + Sync {
    /// Reads an archive as it comes in and writes each stem to a writer of `blobs`, in memory that does not grow with it.
    ///
    /// Returns all of [`Stem::FOUR`], each once, or none. Nothing has a name before the caller gives it one.
    ///
    /// # Errors
    ///
    /// Any [`ResultError`]; nothing is left behind.
    async fn read(&self, archive: BlobStream, blobs: &dyn BlobStore) -> Result<Received, ResultError>;
}

/// Writes result archives.
#[async_trait]
pub trait ResultWriter: Send + Sync {
    /// An archive of all of [`Stem::FOUR`], made while it is read, in memory that does not grow with it. The same stems
    /// give the same bytes.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`] when a stem cannot be opened, and from the blob when one cannot be read.
    async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError>;
}

/// Why a result archive was not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResultError {
    /// A stem is larger than the limit.
    #[error("the result is too large: {what}")]
    Limit {
        /// Which, and how large it may be.
        what: String,
        /// The limit.
        max_bytes: u64,
    },
    /// It is not an archive with exactly the four stems.
    #[error("the result is not a tar with exactly bass.mp3, drums.mp3, other.mp3 and vocals.mp3: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The bytes stopped coming.
    #[error("the result did not come in whole")]
    Interrupted(#[source] BoxError),
    /// The stems could not be written.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}
