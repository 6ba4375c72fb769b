//! Audio: probing files, separating stems and rendering other formats.

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
    /// All other instruments.
    pub other: Bytes,
    /// The vocals.
    pub vocals: Bytes,
}

impl Stems {
    /// Returns the stem for a part; `None` for a part that is not a stem.
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

/// Shows the sizes only, for the same reason as [`JobPayload`](super::JobPayload).
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

/// Receives the progress of a separation.
pub trait Progress: Send + Sync {
    /// Reports that `percent` of the work is done: 0 to 100, never decreasing. Called on the thread that does the work,
    /// which blocks meanwhile: return immediately.
    fn report(&self, percent: u8);
}

/// Ignores progress.
impl Progress for () {
    fn report(&self, _percent: u8) {}
}

/// The stems made by a [`Separator`]; they can be read repeatedly. Dropping this value deletes their temporary files.
#[async_trait]
pub trait StemSet: Send + Sync {
    /// Opens one of [`Stem::FOUR`]: a complete MP3 file.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError>;

    /// Returns the song's length if known. Workers use it to measure their speed.
    fn duration(&self) -> Option<Duration> {
        None
    }
}

#[async_trait]
impl StemSet for Stems {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let bytes = Part::try_from(stem).ok().and_then(|part| self.get(part)).cloned();
        bytes.map(Blob::from).ok_or_else(|| BlobError::Unavailable(format!("missing stem: {stem}").into()))
    }
}

/// Splits songs into stems.
#[async_trait]
pub trait Separator: Send + Sync {
    /// Splits `song`, an audio file, into its stems.
    ///
    /// Nothing is durable: the caller owns the stems. The same bytes give stems that sound the same but may differ
    /// bitwise, because devices round differently. The future must not block the caller's thread. Dropping it stops the
    /// work soon, between two segments.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`]; [`AudioError::is_permanent`] tells whether a retry can help.
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError>;
}

/// Validates audio files before any expensive work starts.
#[async_trait]
pub trait AudioProbe: Send + Sync {
    /// Checks that a local file can be split, judging by its header and first frames.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn probe(&self, file: &Path) -> Result<AudioFacts, AudioError>;
}

/// Metadata of an audio file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFacts {
    /// The container or codec in lower case: `mp3`, `flac`, `ogg vorbis`.
    pub format: String,
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The number of channels.
    pub channels: u16,
    /// The length in milliseconds, if the header states it.
    pub duration_ms: Option<u64>,
}

/// One input of a mix and its linear gain; 1 leaves the samples unchanged.
pub type Track = (Blob, f32);

/// Renders stored audio in other formats and computes its peaks.
#[async_trait]
pub trait Renderer: Send + Sync {
    /// Decodes audio files, mixes them and encodes the mix in `format`. Files are resampled to the first file's rate;
    /// the mix is as long as the longest file. The future must not block the caller's thread.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError>;

    /// Computes the peaks of the mix of these files. The future must not block the caller's thread.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError>;

    /// Mixes these files unchanged: [`Self::mix`] with every gain at 1.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn render(&self, files: Vec<Blob>, format: Format) -> Result<Blob, AudioError> {
        self.mix(files.into_iter().map(|file| (file, 1.0)).collect(), format).await
    }
}

/// An error while probing, splitting or rendering audio.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The song exceeds one of the [`Limits`](crate::limits::Limits).
    #[error("the song exceeds a limit: {what}")]
    Limit {
        /// Which limit, in words for the uploader.
        what: String,
    },
    /// The file is not valid audio.
    #[error("not a valid audio file: {what}")]
    Malformed {
        /// What is wrong, in words for the uploader.
        what: String,
    },
    /// The format is not supported.
    #[error("unsupported format: {what}")]
    Unsupported {
        /// Which format, in words for the uploader.
        what: String,
    },
    /// The disk for temporary files is full; a retry can help once there is space.
    #[error("no disk space left for temporary files")]
    Full,
    /// The model, its device or the machine failed; a retry, here or on another worker, may succeed.
    #[error("processing the audio failed")]
    Failed(#[source] BoxError),
}

impl AudioError {
    /// Returns whether the song itself is the cause, so that a retry on any worker fails as well.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Limit { .. } | Self::Malformed { .. } | Self::Unsupported { .. } => true,
            Self::Full | Self::Failed(_) => false,
        }
    }
}
