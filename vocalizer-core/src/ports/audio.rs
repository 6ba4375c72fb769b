//! Audio: probing files, separating stems and rendering other formats.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use vocalizer_api::{Analysis, Provenance};

use super::{Blob, BlobError, BoxError, LocalRead, Peaks};
use crate::models::ModelName;
use crate::part::{Format, Part, Stem, StemFormats};

/// The four stems of a song, each a complete MP3 file.
///
/// ```
/// use bytes::Bytes;
/// use vocalizer_core::part::Part;
/// use vocalizer_core::ports::Stems;
///
/// let silence = Bytes::from_static(b"ID3");
/// let stems = Stems { drums: silence.clone(), bass: silence.clone(), other: silence.clone(), vocals: silence };
/// assert_eq!(stems.get(Part::Vocals).map(Bytes::len), Some(3));
/// assert_eq!(stems.get(Part::Accompaniment), None);
/// ```
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
    pub fn get(&self, part: Part) -> Option<&Bytes> {
        match part {
            Part::Drums => Some(&self.drums),
            Part::Bass => Some(&self.bass),
            Part::Other => Some(&self.other),
            Part::Vocals => Some(&self.vocals),
            _ => None,
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

/// The most pixels of each side of a [cover](Renderer::cover).
pub const COVER_PIXELS: u32 = 256;

/// Receives the progress of a separation.
///
/// ```
/// use vocalizer_core::ports::Progress;
///
/// struct Bar;
///
/// impl Progress for Bar {
///     fn report(&self, percent: u8) {
///         eprint!("\r{:#<1$}", "", usize::from(percent / 2));
///     }
/// }
/// # Bar.report(50);
/// ```
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use vocalizer_core::{part::Stem, ports::*};
/// async fn size_bytes(stems: &dyn StemSet) -> Result<u64, BlobError> {
///     let mut size_bytes = 0;
///     for stem in Stem::FOUR {
///         let mut blob = stems.open(stem).await?;
///         while let Some(chunk) = blob.next_chunk().await? {
///             size_bytes += chunk.len() as u64;
///         }
///     }
///     Ok(size_bytes)
/// }
/// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "v".into() };
/// # assert_eq!(size_bytes(&stems).await?, 4);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait StemSet: Send + Sync {
    /// Returns the names of the stems. Default: [`Stem::FOUR`].
    fn stems(&self) -> Vec<Stem> {
        Stem::FOUR.to_vec()
    }

    /// Opens one of the [stems](Self::stems): a complete MP3 file.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError>;

    /// Opens one of the [stems](Self::stems) as a complete file of one of its [formats](Self::formats).
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`], also for another format.
    async fn open_as(&self, stem: Stem, format: Format) -> Result<Blob, BlobError> {
        match format {
            Format::Mp3 => self.open(stem).await,
            format => Err(BlobError::Unavailable(format!("there is no {format} of the {stem} stem").into())),
        }
    }

    /// Returns the formats to deliver. A backend that does not know FLAC gets MP3 in any case.
    fn formats(&self) -> StemFormats {
        StemFormats::Mp3
    }

    /// Returns what made the stems, if known.
    fn provenance(&self) -> Option<&Provenance> {
        None
    }

    /// Returns the song's length if known. Workers use it to measure their speed.
    fn duration(&self) -> Option<Duration> {
        None
    }
}

#[async_trait]
impl StemSet for Stems {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let bytes = self.get(Part::Stem(stem)).cloned();
        bytes.map(Blob::from).ok_or_else(|| BlobError::Unavailable(format!("missing stem: {stem}").into()))
    }
}

/// Splits songs into stems.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use async_trait::async_trait;
/// # use bytes::Bytes;
/// # use futures_util::TryStreamExt as _;
/// # use vocalizer_core::{part::Stem, ports::*};
/// # struct Copies;
/// // Returns the song itself as each stem.
/// #[async_trait]
/// impl Separator for Copies {
///     async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
///         let chunks: Vec<_> = song.try_collect().await.map_err(|error| AudioError::Failed(error.into()))?;
///         let mp3 = Bytes::from(chunks.concat());
///         progress.report(100);
///         Ok(Box::new(Stems { drums: mp3.clone(), bass: mp3.clone(), other: mp3.clone(), vocals: mp3 }))
///     }
/// }
/// # let stems = Copies.separate(Bytes::from_static(b"ID3").into(), Arc::new(())).await?;
/// # assert_eq!(stems.open(Stem::BASS).await?.size_bytes(), 3);
/// # Ok(())
/// # }
/// ```
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

    /// Like [`Self::separate`], with the model of the job; `None` for the default. The default is for a separator with one
    /// model and ignores it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::separate`]; [`AudioError::Failed`] for a model that cannot be loaded.
    async fn separate_with(
        &self,
        _model: Option<ModelName>,
        song: Blob,
        progress: Arc<dyn Progress>,
    ) -> Result<Box<dyn StemSet>, AudioError> {
        self.separate(song, progress).await
    }
}

/// Validates audio files before any expensive work starts.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::{Cursor, Read as _};
/// # use async_trait::async_trait;
/// # use vocalizer_core::ports::*;
/// # struct WavOnly;
/// // Accepts WAV files only.
/// #[async_trait]
/// impl AudioProbe for WavOnly {
///     async fn probe(&self, mut file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
///         let mut start = [0; 4];
///         let is_wav = file.read_exact(&mut start).is_ok() && &start == b"RIFF";
///         let facts = AudioFacts { format: "wav".to_owned(), rate_hz: 44_100, channels: 2, ..AudioFacts::default() };
///         is_wav.then_some(facts).ok_or_else(|| AudioError::Unsupported { what: "use a WAV file".to_owned() })
///     }
/// }
/// # assert!(WavOnly.probe(Box::new(Cursor::new(b"RIFF"))).await.is_ok());
/// # assert!(WavOnly.probe(Box::new(Cursor::new(b"ID3"))).await.is_err());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait AudioProbe: Send + Sync {
    /// Checks that a file can be split, judging by its header and first frames. The future must not block the caller's
    /// thread.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn probe(&self, file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError>;

    /// Checks that a file is complete and undamaged, by decoding all of it. The default only probes it.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn verify(&self, file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        self.probe(file).await
    }
}

/// Metadata of an audio file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioFacts {
    /// The container or codec in lower case: `mp3`, `flac`, `ogg vorbis`.
    pub format: String,
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The number of channels.
    pub channels: u16,
    /// The length in milliseconds, if the header states it.
    pub duration_ms: Option<u64>,
    /// The artist in its tags; `None` also if they were not read.
    pub artist: Option<String>,
    /// Whether its tags have a cover; `None` if they were not read.
    pub has_cover: Option<bool>,
}

/// One input of a mix and its linear gain; 1 leaves the samples unchanged.
pub type Track = (Blob, f32);

/// Renders stored audio in other formats, computes its peaks, and finds tempo and key.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use async_trait::async_trait;
/// # use bytes::Bytes;
/// # use vocalizer_core::{part::Format, ports::*};
/// # struct PassThrough;
/// // Returns single MP3 files unchanged, and renders nothing else.
/// #[async_trait]
/// impl Renderer for PassThrough {
///     async fn mix(&self, mut tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError> {
///         match (tracks.pop(), format) {
///             (Some((file, 1.0)), Format::Mp3) if tracks.is_empty() => Ok(file),
///             _ => Err(AudioError::Unsupported { what: "mixes and other formats".to_owned() }),
///         }
///     }
/// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
/// #         Err(AudioError::Unsupported { what: "peaks".to_owned() })
/// #     }
/// }
/// # let file = || vec![Blob::from(Bytes::from_static(b"ID3"))];
/// # assert!(PassThrough.render(file(), Format::Mp3).await.is_ok());
/// # assert!(PassThrough.render(file(), Format::Wav).await.is_err());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Renderer: Send + Sync {
    /// Decodes audio files, mixes them and encodes the mix in `format`. Files are resampled to the first file's rate;
    /// the mix is as long as the longest file. The future must not block the caller's thread.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError>;

    /// Mixes these files and encodes the mix for listening over a slow connection: as MP3 with a low, constant bitrate, at
    /// the sample rate of [`Self::render`] to MP3. The future must not block the caller's thread. The default renders at
    /// full quality.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn preview(&self, files: Vec<Blob>) -> Result<Blob, AudioError> {
        self.render(files, Format::Mp3).await
    }

    /// Computes the peaks of the mix of these files. The future must not block the caller's thread.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError>;

    /// Finds the tempo and the key of a song. Time and memory have a bound that does not depend on the song's length. The future must not
    /// block the caller's thread. The default finds nothing.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`]; [`AudioError::Unsupported`] from the default.
    async fn analyse(&self, _song: Blob) -> Result<Analysis, AudioError> {
        Err(AudioError::Unsupported { what: "this server finds neither tempo nor key".to_owned() })
    }

    /// Makes a small picture of the cover in a song's tags: a JPEG whose sides have at most [`COVER_PIXELS`] pixels. `None` if there is no
    /// cover, or if it is damaged or too large. The future must not block the caller's thread. The default finds none.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn cover(&self, _song: Blob) -> Result<Option<Bytes>, AudioError> {
        Ok(None)
    }

    /// Returns the lyrics in a song's tags, plain or in the LRC format, with at most 100,000 characters. `None` if there are none. The
    /// future must not block the caller's thread. The default finds none.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`].
    async fn lyrics(&self, _song: Blob) -> Result<Option<String>, AudioError> {
        Ok(None)
    }

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
    ///
    /// ```
    /// use vocalizer_core::ports::AudioError;
    ///
    /// assert!(AudioError::Malformed { what: "no frames".to_owned() }.is_permanent());
    /// assert!(!AudioError::Full.is_permanent());
    /// ```
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Limit { .. } | Self::Malformed { .. } | Self::Unsupported { .. } => true,
            Self::Full | Self::Failed(_) => false,
        }
    }
}
