//! The error type of splitting a file.

use std::path::{Path, PathBuf};

use crate::audio::{DecodeError, EncodeError, ResampleError};
use crate::weights::WeightsError;

/// Why a song was not split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be read as audio.
    #[error("cannot read {}", path.display())]
    Decode {
        /// Path of the input.
        path: PathBuf,
        /// The cause.
        #[source]
        source: DecodeError,
    },
    /// A stem cannot be written.
    #[error("cannot write {}", path.display())]
    Encode {
        /// Path of the stem.
        path: PathBuf,
        /// The cause.
        #[source]
        source: EncodeError,
    },
    /// The part to split does not lie in the song.
    #[error("the part to split {problem}: {} is {song_s:.3} s long", path.display())]
    Part {
        /// Path of the input.
        path: PathBuf,
        /// What is wrong with the part, such as "ends after the song".
        problem: &'static str,
        /// Length of the song in seconds.
        song_s: f64,
    },
    /// A folder or temporary file cannot be created or used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The sample rate cannot be converted.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The weights cannot be found, downloaded or used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A weights file cannot be used.
    #[error("cannot use the weights in {}", path.display())]
    WeightsFile {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: WeightsError,
    },
    /// A published model's weights file in the cache is missing or damaged.
    #[error("cannot use the weights in {}; run `vocalizer models fetch {model}` to download them again", path.display())]
    CachedWeights {
        /// Path of the file.
        path: PathBuf,
        /// Name of the model.
        model: &'static str,
        /// The cause.
        #[source]
        source: WeightsError,
    },
    /// A device does not exist, cannot be used, or failed.
    #[error("cannot compute on {device}: {message}")]
    Device {
        /// The device's id, such as `cuda:0`.
        device: String,
        /// The problem and the remedy.
        message: String,
    },
    /// Options that contradict the model or each other. The text states the problem and the remedy.
    #[error("{0}")]
    Options(String),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// A device cannot be used. `why` may be a driver's message; only its lines before the backtrace are kept.
    pub(crate) fn device(device: &str, why: &str) -> Self {
        let lines = why.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Caused by:");
        let lines = lines.take_while(|line| !line.starts_with("Backtrace") && !line.starts_with("No backtrace"));
        Self::Device { device: device.to_owned(), message: lines.collect::<Vec<_>>().join("; ") }
    }

    pub(crate) fn decode(path: &Path) -> impl FnOnce(DecodeError) -> Self + '_ {
        move |source| Self::Decode { path: path.to_owned(), source }
    }

    pub(crate) fn encode(path: &Path) -> impl FnOnce(EncodeError) -> Self + '_ {
        move |source| Self::Encode { path: path.to_owned(), source }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
