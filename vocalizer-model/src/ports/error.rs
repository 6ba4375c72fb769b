//! From this crate's errors to core's. What an uploader may read holds no path of the server's, and is one line.

use std::error::Error;
use std::io::{self, ErrorKind};

use vocalizer_core::ports::{AudioError, BlobError};

use crate::audio::{DecodeError, EncodeError, ResampleError};

pub(super) fn decode(error: DecodeError) -> AudioError {
    match error {
        DecodeError::Io { source, .. } => io(source),
        DecodeError::Limit(what) => AudioError::Limit { what: line(&what) },
        DecodeError::Unsupported(what) => AudioError::Unsupported { what: line(&what) },
        // Core's own words say these two already.
        DecodeError::NotAudio(what) | DecodeError::Malformed(what) => AudioError::Malformed { what: line(&what) },
        DecodeError::Truncated(_) | DecodeError::NoAudioTrack | DecodeError::Empty(_) => {
            AudioError::Malformed { what: line(&error.to_string()) }
        }
    }
}

pub(super) fn encode(error: EncodeError) -> AudioError {
    match error {
        EncodeError::Io { source, .. } => io(source),
        EncodeError::Limit(what) => AudioError::Limit { what: line(&what) },
        EncodeError::Unsupported(what) => AudioError::Unsupported { what: line(&what) },
        EncodeError::NotANumber { .. } | EncodeError::Empty | EncodeError::Internal(_) => failed(error),
    }
}

pub(super) fn resample(error: ResampleError) -> AudioError {
    match error {
        ResampleError::Rate { .. } => AudioError::Unsupported { what: line(&error.to_string()) },
        ResampleError::Finished | ResampleError::Internal(_) => failed(error),
    }
}

#[cfg(feature = "separate")]
pub(super) fn split(error: crate::Error) -> AudioError {
    match error {
        crate::Error::Decode { source, .. } => decode(source),
        crate::Error::Encode { source, .. } => encode(source),
        crate::Error::Io { source, .. } => io(source),
        crate::Error::Resample(error) => resample(error),
        error => failed(error),
    }
}

pub(super) fn io(error: io::Error) -> AudioError {
    match error.kind() {
        // Too large for what lies under the work folder is the same to the operator.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => AudioError::Full,
        _ => failed(error),
    }
}

pub(super) fn blob(error: BlobError) -> AudioError {
    failed(error)
}

pub(super) fn failed(error: impl Error + Send + Sync + 'static) -> AudioError {
    AudioError::Failed(error.into())
}

/// What a file says of itself may hold anything.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_is_told_from_a_failing_disk() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            let error = || EncodeError::Io { action: "written", source: kind.into() };
            assert!(matches!(encode(error()), AudioError::Full), "{kind}");
            #[cfg(feature = "separate")]
            assert!(matches!(split(crate::Error::encode("x".as_ref())(error())), AudioError::Full), "{kind}");
        }
        assert!(matches!(io(ErrorKind::Other.into()), AudioError::Failed(_)));
    }

    #[test]
    fn an_uploader_reads_one_line() {
        let error = decode(DecodeError::Unsupported("a codec named\r\n\u{1b}[31m".into()));
        assert_eq!(error.to_string(), "unsupported format: a codec named   [31m");
    }
}
