//! Audio, as the rest of Vocalizer knows it: what a file holds, its stems, and other formats of the same sound.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::{Blob, BlobError, BoxError, Peaks};
use crate::part::{Format, Part, Stem};

/// The four stems of a song, each a complete MP3 file.
#[derive(Clone, PartialEq, Eq)]
pub struct Stems {
    /// The drums.
    pub drums: Bytes,
    /// The bass.
    pub bass: Bytes,
    /// Everything else.
    pub other: Bytes,
    /// The voice.
    pub vocals: Bytes,
}

impl Stems {
    /// The stem that a part names; `None` for the others.
    #[must_use]
    pub const fn get(&self, part: Part) -> Option<&Bytes> {
        match part {
            Part::Song | Part::Accompaniment => None,
            Part::Drums => Some(&self.drums),
            Part::Bass => Some(&self.bass),
            Part::Other => Some(&self.other),
            Part::Vocals => Some(&self.vocals),
        }
    }
}

/// Says how large the stems are and not what is in them, for the reasons that [`JobPayload`](super::JobPayload) has.
impl fmt::Debug for Stems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drums, bass, other, vocals } = self;
        f.debug_struct("Stems")
            .field("drums_bytes", &drums.len())
            .field("bass_bytes", &bass.len())
            .field("other_bytes", &other.len())
            .field("vocals_bytes", &vocals.len())
            .finish()
    }
}

/// Hears how far a separation is.
pub trait Progress: Send + Sync {
    /// `percent` of the work is done; from 0 to 100 and never less than before. Called from the thread that does the
    /// work, which waits meanwhile: return at once.
    fn report(&self, percent: u8);
}

/// Nobody listens.
impl Progress for () {
    fn report(&self, _percent: u8) {}
}

/// Stems that a [`Separator`] made, to be read as often as their delivery takes. What they lie on goes with this value.
#[async_trait]
pub trait StemSet: Send + Sync {
    /// Opens one of [`Stem::FOUR`]: a complete MP3 file.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError>;

    /// How long the song is, where that is known: what a worker's speed is measured by.
    fn duration(&self) -> Option<Duration> {
        None
    }
}

#[async_trait]
impl StemSet for Stems {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let bytes = Part::try_from(stem).ok().and_then(|part| self.get(part)).cloned();
        bytes.map(Blob::from).ok_or_else(|| BlobError::Unavailable(format!("there is no stem {stem} here").into()))
    }
}

/// Splits songs.
#[async_trait]
pub trait Separator: Send + Sync {
    /// Splits `song`, an audio file, into its stems.
    ///
    /// Nothing is durable: the stems are the caller's. The same bytes give stems that sound the same; devices round
    /// differently, so they need not be the same bytes. The future must leave the caller's thread free to do other
    /// things; dropping it stops the work soon, between two segments.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`]; ask [`AudioError::is_permanent`] whether to try again.
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError>;
}

/// Looks into files before they cost anybody anything.
#[async_trait]
pub trait AudioProbe: Send + Sync {
    /// Whether a local file is a song that can be split, as far as its header and its first moments tell.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn probe(&self, file: &Path) -> Result<AudioFacts, AudioError>;
}

/// What a song's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFacts {
    /// The container or the codec, in lower case: `mp3`, `flac`, `ogg vorbis`.
    pub format: String,
    /// The sample rate.
    pub rate_hz: u32,
    /// The channels.
    pub channels: u16,
    /// The length, where the header states it.
    pub duration_ms: Option<u64>,
}

/// One of the files that are added up, and by how much its samples are multiplied before: 1 leaves them as they are.
pub type Track = (Blob, f32);

/// Makes other formats of what is kept, and looks into it.
#[async_trait]
pub trait Renderer: Send + Sync {
    /// Decodes audio files, adds them up and encodes the sum in `format`; files of other rates are brought to that of the
    /// first, and the sum is as long as the longest. The future must leave the caller's thread free.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError>;

    /// How loud the sum of these files is over its length. The future must leave the caller's thread free.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError>;

    /// The sum of these files as they are: [`Self::mix`] with every gain at 1.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn render(&self, files: Vec<Blob>, format: Format) -> Result<Blob, AudioError> {
        self.mix(files.into_iter().map(|file| (file, 1.0)).collect(), format).await
    }
}

/// Why a song could not be split, read or rendered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// It goes beyond one of the [`Limits`](crate::limits::Limits).
    #[error("the song goes beyond a limit: {what}")]
    Limit {
        /// Which one, for the uploader.
        what: String,
    },
    /// It is not the audio file it claims to be.
    #[error("the file cannot be read as a song: {what}")]
    Malformed {
        /// What is wrong with it, for the uploader.
        what: String,
    },
    /// It is a format that is not supported.
    #[error("the format is not supported: {what}")]
    Unsupported {
        /// Which one, for the uploader.
        what: String,
    },
    /// There is no room for the work; it may be done when there is.
    #[error("there is no room left to work in")]
    Full,
    /// The model, its device or the machine failed; another try, or another worker, may do better.
    #[error("the machine failed at the song")]
    Failed(#[source] BoxError),
}

impl AudioError {
    /// Whether the song is to blame, so that no other try and no other worker would do better.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Limit { .. } | Self::Malformed { .. } | Self::Unsupported { .. } => true,
            Self::Full | Self::Failed(_) => false,
        }
    }
}
