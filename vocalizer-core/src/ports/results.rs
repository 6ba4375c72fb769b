//! Result archives: the tar in which a worker uploads the stems.

use async_trait::async_trait;
use thiserror::Error;
use vocalizer_api::Provenance;

use super::{Blob, BlobError, BlobStore, BlobStream, BlobWriter, BoxError, StemSet};
use crate::part::{Format, Stem};

/// A received result that is not committed yet.
#[derive(Default)]
pub struct Received {
    /// The files of the stems: each stem in each of the formats.
    pub files: Vec<StemFile>,
    /// What made them, if the worker said it.
    pub provenance: Option<Provenance>,
}

/// A stem in one format, MP3 or FLAC.
pub struct StemFile {
    /// The stem.
    pub stem: Stem,
    /// Its format.
    pub format: Format,
    /// Its bytes.
    pub writer: Box<dyn BlobWriter>,
}

/// Reads untrusted result archives.
///
/// ```
/// # use vocalizer_core::{part::Format, ports::*, song::SongHash};
/// # async fn store(
/// #     reader: &dyn ResultReader, archive: BlobStream, blobs: &dyn BlobStore, hash: SongHash,
/// # ) -> Result<(), ResultError> {
/// for StemFile { stem, format, writer } in reader.read(archive, blobs).await?.files {
///     let key = if format == Format::Flac { BlobKey::Lossless(hash, stem) } else { BlobKey::Stem(hash, stem) };
///     writer.commit(&key).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ResultReader: Send + Sync {
    /// Reads an archive as a stream and writes each stem to a writer of `blobs`, in constant memory.
    ///
    /// Returns at least one stem, all as MP3, as FLAC or as both, each once, or an error. The caller checks which stems. Nothing is visible in the store
    /// before the caller commits it.
    ///
    /// # Errors
    ///
    /// Any [`ResultError`]; nothing is left behind.
    async fn read(&self, archive: BlobStream, blobs: &dyn BlobStore) -> Result<Received, ResultError>;
}

/// Writes result archives.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use async_trait::async_trait;
/// # use bytes::Bytes;
/// # use futures_util::TryStreamExt as _;
/// # use vocalizer_core::{part::Stem, ports::*};
/// # struct Joined;
/// #[async_trait]
/// impl ResultWriter for Joined {
///     async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError> {
///         let mut archive = Vec::new();
///         for stem in Stem::FOUR {
///             archive.extend(stems.open(stem).await?.try_collect::<Vec<_>>().await?.concat());
///         }
///         Ok(Bytes::from(archive).into()) // A real archive is a tar file.
///     }
/// }
/// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "v".into() };
/// # assert_eq!(Joined.write(&stems).await?.next_chunk().await?.unwrap(), "dbov");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ResultWriter: Send + Sync {
    /// Returns an archive of all stems in the formats of the set, and of its provenance, generated while it is
    /// read, in constant memory. The same stems give the same bytes.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`] if a stem cannot be opened, and from the blob if one cannot be read.
    async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError>;
}

/// Why a result archive was rejected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResultError {
    /// A stem is larger than the limit.
    #[error("the result is too large: {what}")]
    Limit {
        /// Which stem, and its limit.
        what: String,
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// The archive is not one of stems.
    #[error("the result is not a tar with stems, all as .mp3, all as .flac or all as both: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// The upload ended early.
    #[error("the result upload was interrupted")]
    Interrupted(#[source] BoxError),
    /// Writing the stems failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}
