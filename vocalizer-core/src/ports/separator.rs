//! The model, as the rest of Vocalizer knows it: a song's bytes in, four encoded stems out.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::BoxError;
use crate::part::Part;

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
    /// The stem that a part names; `None` for [`Part::Song`], which is no stem.
    #[must_use]
    pub const fn get(&self, part: Part) -> Option<&Bytes> {
        match part {
            Part::Song => None,
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

/// Splits songs.
#[async_trait]
pub trait Separator: Send + Sync {
    /// Splits `song`, the bytes of an audio file, into its stems.
    ///
    /// Nothing is durable: the stems are the caller's. The same bytes give stems that sound the same; devices round
    /// differently, so they need not be the same bytes. The future must leave the caller's thread free to do other
    /// things; dropping it stops the work soon, not at once.
    ///
    /// # Errors
    ///
    /// Any [`SeparateError`]; ask [`SeparateError::is_permanent`] whether to try again.
    async fn separate(&self, song: Bytes, progress: &dyn Progress) -> Result<Stems, SeparateError>;
}

/// Why a song could not be split.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeparateError {
    /// It goes beyond one of the [`Limits`](crate::limits::Limits).
    #[error("the song goes beyond a limit: {what}")]
    Limit {
        /// Which one, for the uploader.
        what: String,
    },
    /// It is not the audio file it claims to be.
    #[error("the song cannot be read")]
    Malformed(#[source] BoxError),
    /// It is a format that is not supported.
    #[error("the format is not supported: {what}")]
    Unsupported {
        /// Which one, for the uploader.
        what: String,
    },
    /// The model or its device failed; another try, or another worker, may do better.
    #[error("the model failed")]
    Device(#[source] BoxError),
}

impl SeparateError {
    /// Whether the song is to blame, so that no other try and no other worker would do better.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Limit { .. } | Self::Malformed(_) | Self::Unsupported { .. } => true,
            Self::Device(_) => false,
        }
    }
}
