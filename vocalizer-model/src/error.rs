//! What can go wrong between a file and its stems.

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
        /// The input.
        path: PathBuf,
        /// What was wrong with it.
        #[source]
        source: DecodeError,
    },
    /// A stem cannot be written.
    #[error("cannot write {}", path.display())]
    Encode {
        /// The stem's file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: EncodeError,
    },
    /// A folder or temporary file cannot be made or used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The sampling rate cannot be changed as asked.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The weights cannot be found, fetched or used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights in a file of the user's own.
    #[error("cannot use the weights in {}", path.display())]
    WeightsFile {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        #[source]
        source: WeightsError,
    },
    /// A device is not there, cannot be used, or failed.
    #[error("cannot compute on {device}: {message}")]
    Device {
        /// The device, as it is asked for.
        device: String,
        /// What was wrong, and what would be right.
        message: String,
    },
    /// Options that contradict the model or each other.
    #[error("{0}")]
    Options(String),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
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
