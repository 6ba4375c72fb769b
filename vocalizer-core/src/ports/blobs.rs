//! The blob store: uploaded songs, stems and renditions.

use std::fmt;
use std::io::{Read, Seek};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use super::{Blob, BlobError};
use crate::part::{Format, Part, Stem};
use crate::song::SongHash;

/// The name of a blob. Blobs belong to hashes, not to songs: equal bytes are stored once.
///
/// ```
/// use vocalizer_core::part::{Format, Part};
/// use vocalizer_core::ports::BlobKey;
/// use vocalizer_core::song::SongHash;
///
/// let hash = SongHash::of(b"the song");
/// let key = BlobKey::Rendition(hash, Part::Vocals, Format::Wav);
/// assert_eq!(key.to_string(), format!("{hash}/made/vocals.wav"));
/// assert_eq!(BlobKey::of_made(hash, "vocals.wav"), Some(key));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobKey {
    /// The uploaded file.
    Source(SongHash),
    /// A stem as MP3, as a worker delivered it.
    Stem(SongHash, Stem),
    /// A stem as FLAC, as a worker delivered it.
    Lossless(SongHash, Stem),
    /// A part in another format. It is derived and can be rendered again at any time.
    Rendition(SongHash, Part, Format),
    /// The preview of a part, derived like a rendition.
    Preview(SongHash, Part),
    /// The peaks of a part, derived like a rendition.
    Peaks(SongHash, Part),
    /// The tempo and the key of the uploaded file, derived like a rendition.
    Analysis(SongHash),
    /// The cover of the uploaded file as a small picture, derived like a rendition; empty if there is none.
    Cover(SongHash),
    /// The lyrics of the uploaded file, derived like a rendition; empty if there are none.
    Lyrics(SongHash),
    /// A piece of a resumable upload, by its number; see [`PartialUpload::hash_of`](super::PartialUpload::hash_of).
    Piece(SongHash, u64),
}

/// The file name of an analysis.
const ANALYSIS: &str = "song.analysis";

/// The file name of a cover.
const COVER: &str = "song.cover";

/// The file name of lyrics.
const LYRICS: &str = "song.lyrics";

impl BlobKey {
    /// Returns the hash that the blob belongs to.
    #[must_use]
    pub const fn hash(&self) -> &SongHash {
        match self {
            Self::Source(hash)
            | Self::Stem(hash, _)
            | Self::Lossless(hash, _)
            | Self::Rendition(hash, ..)
            | Self::Preview(hash, _)
            | Self::Peaks(hash, _)
            | Self::Analysis(hash)
            | Self::Cover(hash)
            | Self::Lyrics(hash)
            | Self::Piece(hash, _) => hash,
        }
    }

    /// Returns whether the blob is derived from another, so that it can be deleted and made again.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        match self {
            Self::Rendition(..)
            | Self::Preview(..)
            | Self::Peaks(..)
            | Self::Analysis(_)
            | Self::Cover(_)
            | Self::Lyrics(_) => true,
            Self::Source(_) | Self::Stem(..) | Self::Lossless(..) | Self::Piece(..) => false,
        }
    }

    /// Returns the key for a file name in the folder `made` of a hash; `None` for a foreign file.
    #[must_use]
    pub fn of_made(hash: SongHash, name: &str) -> Option<Self> {
        match name {
            ANALYSIS => return Some(Self::Analysis(hash)),
            COVER => return Some(Self::Cover(hash)),
            LYRICS => return Some(Self::Lyrics(hash)),
            _ => {}
        }
        let (part, extension) = name.split_once('.')?;
        let part = part.parse().ok()?;
        match extension {
            "preview" => Some(Self::Preview(hash, part)),
            "peaks" => Some(Self::Peaks(hash, part)),
            _ => Some(Self::Rendition(hash, part, extension.parse().ok()?)),
        }
    }
}

/// Writes a relative path, the same in every store: `<hash>/source`, `<hash>/<stem>.mp3`, `<hash>/<stem>.flac`,
/// `<hash>/made/<part>.<ext>`, `<hash>/made/<part>.preview`, `<hash>/made/<part>.peaks`, `<hash>/made/song.analysis`,
/// `<hash>/made/song.cover`, `<hash>/made/song.lyrics` or `<hash>/pieces/<number>`.
impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(hash) => write!(f, "{hash}/source"),
            Self::Stem(hash, stem) => write!(f, "{hash}/{stem}.mp3"),
            Self::Lossless(hash, stem) => write!(f, "{hash}/{stem}.flac"),
            Self::Rendition(hash, part, format) => write!(f, "{hash}/made/{part}.{format}"),
            Self::Preview(hash, part) => write!(f, "{hash}/made/{part}.preview"),
            Self::Peaks(hash, part) => write!(f, "{hash}/made/{part}.peaks"),
            Self::Analysis(hash) => write!(f, "{hash}/made/{ANALYSIS}"),
            Self::Cover(hash) => write!(f, "{hash}/made/{COVER}"),
            Self::Lyrics(hash) => write!(f, "{hash}/made/{LYRICS}"),
            Self::Piece(hash, number) => write!(f, "{hash}/pieces/{number}"),
        }
    }
}

/// Stores blobs. A blob is visible as a whole or not at all.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use bytes::Bytes;
/// # use vocalizer_core::{memory::MemoryBlobs, ports::*, song::SongHash};
/// # let blobs = MemoryBlobs::default();
/// let mut writer = blobs.begin().await?;
/// writer.write(Bytes::from_static(b"the song")).await?;
/// let key = BlobKey::Source(SongHash::of(b"the song"));
/// assert_eq!(writer.commit(&key).await?, 8);
///
/// let mut part = blobs.open(&key, Some(4..8)).await?.ok_or("it was deleted")?;
/// assert_eq!(part.next_chunk().await?.as_deref(), Some(&b"song"[..]));
/// blobs.delete_all(key.hash()).await?;
/// assert!(blobs.open(&key, None).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Starts a blob. Its key is set on commit, because the hash of an upload is known only at its end.
    ///
    /// Cancel-safe: nothing is visible before [`BlobWriter::commit`].
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Opens a blob, or its bytes in `range`; `None` if there is no such blob.
    ///
    /// If the blob is deleted or replaced meanwhile, an open one yields the bytes it was opened with, or an error.
    ///
    /// # Errors
    ///
    /// [`BlobError::Range`] if `range` is not within the blob; [`BlobError::Unavailable`].
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError>;

    /// Returns a blob's size; `None` if there is no such blob.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError>;

    /// Deletes all blobs of a hash, durably on return. Succeeds without effect if there are none.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError>;

    /// Deletes one blob. Succeeds without effect if it does not exist. Need not be durable on return.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;

    /// Returns all derived blobs ([`BlobKey::is_made`]), each once, in no guaranteed order.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError>;

    /// Returns all hashes that have blobs, each once, in no guaranteed order. A sweep compares them with the songs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError>;

    /// Returns when the newest blob of a hash was written; `None` if it has none. A sweep keeps recent blobs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError>;

    /// Returns the space of the disk that [`Self::begin`] writes to; `None` if there is no disk or its space is
    /// unknown.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        Ok(None)
    }

    /// Checks that the store is available, for readiness checks. Override it for a store in which a missing blob looks
    /// like a missing store.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn check(&self) -> Result<(), BlobError> {
        // Whether the blob exists does not matter.
        self.size_bytes(&BlobKey::Source(SongHash::of(b""))).await.map(|_| ())
    }

    /// Removes leftovers of dead writers and returns their number. Blobs that are being written are left alone.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn sweep(&self) -> Result<u64, BlobError>;
}

/// A derived blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeBlob {
    /// Its key.
    pub key: BlobKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was last opened, if the store records that; otherwise when it was written.
    pub used: OffsetDateTime,
}

/// Disk space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The space that this process can use.
    pub free_bytes: u64,
    /// The total space.
    pub total_bytes: u64,
}

/// Bytes on this machine, such as a file or a buffer. Reading blocks the thread, but never waits for the network.
///
/// ```
/// use std::io::{Cursor, Read};
///
/// use vocalizer_core::ports::LocalRead;
///
/// # fn main() -> std::io::Result<()> {
/// let mut file: Box<dyn LocalRead> = Box::new(Cursor::new(b"RIFF....WAVE"));
/// let mut start = [0; 4];
/// file.read_exact(&mut start)?;
/// assert_eq!(&start, b"RIFF");
/// # Ok(())
/// # }
/// ```
pub trait LocalRead: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> LocalRead for T {}

/// A blob being written. Dropping it discards the written bytes; a later sweep removes any leftovers.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use bytes::Bytes;
/// # use vocalizer_core::{memory::MemoryBlobs, ports::*, song::SongHash};
/// # let blobs = MemoryBlobs::default();
/// # use std::io::Read as _;
/// let mut writer = blobs.begin().await?;
/// writer.write(Bytes::from_static(b"the song")).await?;
///
/// // Checked before it is visible.
/// let mut start = [0; 3];
/// writer.reader().await?.read_exact(&mut start)?;
/// assert_eq!(&start, b"the");
/// writer.commit(&BlobKey::Source(SongHash::of(b"the song"))).await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends bytes. Not cancel-safe: after a dropped or failed call, drop the writer.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError>;

    /// Returns a reader of everything written so far, from its first byte, for a check before the commit. It stays
    /// readable as long as this writer exists.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError>;

    /// Makes the blob visible under `key` and returns its size in bytes. On return it is durable.
    ///
    /// An existing blob under `key` is replaced atomically, so a repeated result has no visible effect. A dropped
    /// future has committed the whole blob or nothing.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError>;

    /// Commits like [`Self::commit`], but replaces the existing blob even if it looks the same, because it may be
    /// damaged. Override it for a store that skips writing an identical blob.
    ///
    /// # Errors
    ///
    /// Those of [`Self::commit`].
    async fn replace(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        self.commit(key).await
    }
}
