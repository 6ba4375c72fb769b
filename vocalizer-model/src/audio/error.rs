//! What can go wrong with audio. Each message reads well after the file's name and a colon.

use std::io;

/// Why a file could not be decoded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file system refused.
    #[error("the file could not be {action}")]
    Io {
        /// What was tried: "opened", "read".
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It is not audio at all, as far as can be told.
    #[error("not audio that can be read: {0}")]
    NotAudio(String),
    /// It is audio, of a kind that is not decoded here.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// It contradicts its own format.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It ends before it should.
    #[error("truncated: {0}")]
    Truncated(String),
    /// It is larger than [`AudioLimits`](super::AudioLimits) allow.
    #[error("over the limit: {0}")]
    Limit(String),
    /// It is a container without any sound, such as a silent video.
    #[error("no audio track in the file")]
    NoAudioTrack,
    /// There is nothing in it: no bytes, or no samples.
    #[error("{0}")]
    Empty(&'static str),
}

impl DecodeError {
    pub(super) fn read(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated("the file ends in the middle of its data".into())
        } else {
            Self::Io { action: "read", source }
        }
    }
}

/// Why a rate could not be converted.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// A rate of 0 Hz, or one beyond what any audio has.
    #[error("cannot resample from {from_hz} Hz to {to_hz} Hz")]
    Rate {
        /// The rate of the input.
        from_hz: u32,
        /// The rate asked for.
        to_hz: u32,
    },
    /// [`Resampler::finish`](super::Resampler::finish) was called before.
    #[error("the resampler was already finished")]
    Finished,
    /// The resampling library refused; a defect here.
    #[error("resampling failed: {0}")]
    Internal(String),
}

/// Why a stem could not be written. Nothing is left at the target in any of these cases.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The file system refused.
    #[error("the file could not be {action}")]
    Io {
        /// What was tried: "created", "written", "renamed into place".
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The format cannot hold this rate or bit rate, or support for it was not compiled in.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// More audio than the format can hold.
    #[error("over the limit: {0}")]
    Limit(String),
    /// The frames hold a NaN or an infinity.
    #[error("sample {frame} is not a number")]
    NotANumber {
        /// Which frame, counted from 0.
        frame: u64,
    },
    /// [`StemWriter::finish`](super::StemWriter::finish) without a single frame.
    #[error("there are no samples to write")]
    Empty,
    /// The encoder refused; a defect here.
    #[error("encoding failed: {0}")]
    Internal(String),
}

impl EncodeError {
    pub(super) fn write(source: io::Error) -> Self {
        Self::Io { action: "written", source }
    }
}
