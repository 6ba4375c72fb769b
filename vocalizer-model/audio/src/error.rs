//! The errors of audio input and output. Each message reads well after the file's name and a colon.

use std::io;

/// Why a file could not be decoded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// An I/O error.
    #[error("the file could not be {action}")]
    Io {
        /// What failed: "opened", "read".
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is not audio in a known format.
    #[error("not an audio file: {0}")]
    NotAudio(String),
    /// The format is known but not supported: its name, a semicolon, and what to do about it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The file has no audio track of the number that was asked for.
    #[error("there is no audio track {track}; the file has {tracks}, counted from 1")]
    NoSuchTrack {
        /// The number that was asked for.
        track: u32,
        /// The number of audio tracks.
        tracks: u32,
    },
    /// The file violates its own format.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The file ends too early.
    #[error("truncated: {0}")]
    Truncated(String),
    /// The file exceeds [`AudioLimits`](super::AudioLimits).
    #[error("over the limit: {0}")]
    Limit(String),
    /// The container has no audio track, for example a silent video.
    #[error("no audio track in the file")]
    NoAudioTrack,
    /// The file is empty or has no samples.
    #[error("{0}")]
    Empty(&'static str),
}

impl DecodeError {
    /// Returns the name of the format or codec of a file that was refused because it is not supported.
    pub fn format(&self) -> Option<&str> {
        match self {
            Self::Unsupported(what) => Some(what.split(';').next().unwrap_or(what)),
            _ => None,
        }
    }

    pub(super) fn read(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated("the file ends in the middle of its data".into())
        } else {
            Self::Io { action: "read", source }
        }
    }
}

/// Why a sample rate could not be converted.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// A rate of 0 Hz, or one above any real sample rate.
    #[error("cannot resample from {from_hz} Hz to {to_hz} Hz")]
    Rate {
        /// The input rate.
        from_hz: u32,
        /// The output rate.
        to_hz: u32,
    },
    /// [`Resampler::finish`](super::Resampler::finish) was already called.
    #[error("the resampler was already finished")]
    Finished,
    /// The resampling library failed; a bug in this crate.
    #[error("resampling failed: {0}")]
    Internal(String),
}

/// Why a stem could not be written. None of these errors leaves a file at the target.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// An I/O error.
    #[error("the file could not be {action}")]
    Io {
        /// What failed: "created", "written", "renamed into place".
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The format does not support this sample rate or bitrate, or this build lacks the format.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// More audio than the format can hold.
    #[error("over the limit: {0}")]
    Limit(String),
    /// The frames contain a NaN or an infinity.
    #[error("sample {frame} is not a number")]
    NotANumber {
        /// Index of the frame, from 0.
        frame: u64,
    },
    /// [`StemWriter::finish`](super::StemWriter::finish) was called before any frame was written.
    #[error("there are no samples to write")]
    Empty,
    /// The encoder failed; a bug in this crate.
    #[error("encoding failed: {0}")]
    Internal(String),
}

impl EncodeError {
    pub(super) fn write(source: io::Error) -> Self {
        Self::Io { action: "written", source }
    }
}
