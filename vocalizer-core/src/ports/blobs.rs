//! Where bytes are kept: uploaded songs and their stems.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use time::OffsetDateTime;

use super::{Blob, BoxError};
use crate::part::{Format, Part, Stem};
use crate::song::SongHash;

/// The name of a blob. Blobs belong to hashes, not to songs: equal bytes are stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobKey {
    /// The file as it was uploaded.
    Source(SongHash),
    /// One stem of it, as a worker delivered it.
    Stem(SongHash, Stem),
    /// A part in another format than it is kept in, made from it and to be made again at any time.
    Rendition(SongHash, Part, Format),
    /// How loud a part is over its length, made from it like a rendition.
    Peaks(SongHash, Part),
}

impl BlobKey {
    /// The hash it belongs to.
    #[must_use]
    pub const fn hash(&self) -> &SongHash {
        match self {
            Self::Source(hash) | Self::Stem(hash, _) | Self::Rendition(hash, ..) | Self::Peaks(hash, _) => hash,
        }
    }

    /// Whether it was made of another blob, so that it can be deleted and made again.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        matches!(self, Self::Rendition(..) | Self::Peaks(..))
    }

    /// The key of what is called so in the folder `made` of a hash; `None` for what is nothing of ours.
    #[must_use]
    pub fn of_made(hash: SongHash, name: &str) -> Option<Self> {
        let (part, extension) = name.split_once('.')?;
        let part = part.parse().ok()?;
        match extension {
            "peaks" => Some(Self::Peaks(hash, part)),
            _ => Some(Self::Rendition(hash, part, extension.parse().ok()?)),
        }
    }
}

/// A relative path, the same in every store: `<hash>/source`, `<hash>/<stem>.mp3`, `<hash>/made/<part>.<ext>` or
/// `<hash>/made/<part>.peaks`.
impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(hash) => write!(f, "{hash}/source"),
            Self::Stem(hash, stem) => write!(f, "{hash}/{stem}.mp3"),
            Self::Rendition(hash, part, format) => write!(f, "{hash}/made/{part}.{format}"),
            Self::Peaks(hash, part) => write!(f, "{hash}/made/{part}.peaks"),
        }
    }
}

/// Keeps blobs. A blob is there whole or not at all; nobody ever reads half of one.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Begins a blob. Its name is given at the end, because an upload's hash is known only once all of it is in.
    ///
    /// Cancel-safe: nothing is visible before [`BlobWriter::commit`].
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Opens a blob, or the bytes of it in `range`; `None` where there is no such blob.
    ///
    /// An open blob keeps giving the bytes it was opened with, or fails, when the blob is deleted or replaced meanwhile.
    ///
    /// # Errors
    ///
    /// [`BlobError::Range`] when `range` is not within the blob; [`BlobError::Unavailable`].
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError>;

    /// How large a blob is; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError>;

    /// Deletes every blob of a hash, durably on return. Where there is none it is a success without effect.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError>;

    /// Deletes one blob; where there is none it is a success without effect. It need not be durable on return.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;

    /// Every blob that was made of another one ([`BlobKey::is_made`]), each once, in no promised order.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError>;

    /// Every hash that has blobs, each once, in no promised order: what a sweep compares with the songs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError>;

    /// When the newest blob of a hash was written; `None` where the hash has none. A sweep keeps what is young.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError>;

    /// How much space the disk has that [`Self::begin`] writes to; `None` where there is no disk or it cannot be asked.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        Ok(None)
    }

    /// Whether the store is there: for a readiness check. A store where a blob that is missing looks like a store that is
    /// missing overrides this.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn check(&self) -> Result<(), BlobError> {
        // Whether there is anything under this hash does not matter.
        self.size_bytes(&BlobKey::Source(SongHash::of(b""))).await.map(|_| ())
    }

    /// Removes what writers left behind that no longer run, and says how many there were. Those that are being written are
    /// left alone.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn sweep(&self) -> Result<u64, BlobError>;
}

/// A blob that was made of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeBlob {
    /// Which one.
    pub key: BlobKey,
    /// How large it is.
    pub size_bytes: u64,
    /// When it was last opened, as far as the store keeps that; else when it was written.
    pub used: OffsetDateTime,
}

/// The space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What is free for this process.
    pub free_bytes: u64,
    /// What there is in all.
    pub total_bytes: u64,
}

/// A blob being written. Dropping it discards what was written; at worst, what is left is swept up later.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends bytes. Not cancel-safe: after a dropped or failed call the writer can only be dropped.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError>;

    /// A local file with everything written so far, for those who must look into it before it has a name. It is there as
    /// long as this writer.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn local_file(&mut self) -> Result<PathBuf, BlobError>;

    /// Makes the blob visible under `key` and returns its size in bytes. On return it is durable.
    ///
    /// A blob already under `key` is replaced atomically, so a repeated result changes nothing anyone can see. A dropped
    /// future has committed the whole blob or nothing.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError>;

    /// As [`Self::commit`], for a blob under `key` that may be damaged: a store that leaves a blob alone which looks like
    /// this one overrides this, and replaces it whatever it looks like.
    ///
    /// # Errors
    ///
    /// Those of [`Self::commit`].
    async fn replace(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        self.commit(key).await
    }
}

/// What can go wrong in a blob store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The range is empty, reversed, or reaches past the end.
    #[error("the range is not within the blob of {size_bytes} bytes")]
    Range {
        /// How large the blob is.
        size_bytes: u64,
    },
    /// There is no room left.
    #[error("the blob store is full")]
    Full,
    /// What is stored is not what it was; no retry will help.
    #[error("the blob is damaged")]
    Damaged,
    /// The store cannot be reached or failed; the same call may work later.
    #[error("the blob store is unavailable")]
    Unavailable(#[source] BoxError),
}
