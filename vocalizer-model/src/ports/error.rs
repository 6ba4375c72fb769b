//! Maps this crate's errors to core's. Texts that uploaders see contain no server paths and are one line.

use std::error::Error;
use std::io::{self, ErrorKind};

use vocalizer_core::ports::{AudioError, BlobError};

use crate::audio::{DecodeError, EncodeError, ResampleError};

pub(super) fn decode(error: DecodeError) -> AudioError {
    match error {
        DecodeError::Io { source, .. } => io(source),
        DecodeError::Limit(what) => AudioError::Limit { what: line(&what) },
        DecodeError::Unsupported(what) => AudioError::Unsupported { what: line(&what) },
        // Core's messages for these two already say so.
        DecodeError::NotAudio(what) | DecodeError::Malformed(what) => AudioError::Malformed { what: line(&what) },
        error => AudioError::Malformed { what: line(&error.to_string()) },
    }
}

pub(super) fn encode(error: EncodeError) -> AudioError {
    match error {
        EncodeError::Io { source, .. } => io(source),
        EncodeError::Limit(what) => AudioError::Limit { what: line(&what) },
        EncodeError::Unsupported(what) => AudioError::Unsupported { what: line(&what) },
        error => failed(error),
    }
}

pub(super) fn resample(error: ResampleError) -> AudioError {
    match error {
        ResampleError::Rate { .. } => AudioError::Unsupported { what: line(&error.to_string()) },
        error => failed(error),
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
        // `FileTooLarge` comes from a limit on the work folder; for the operator it is the same as a full disk.
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

/// Replaces control characters: text from a file may contain anything.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_distinct_from_io_error() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            let error = || EncodeError::Io { action: "written", source: kind.into() };
            assert!(matches!(encode(error()), AudioError::Full), "{kind}");
            #[cfg(feature = "separate")]
            assert!(matches!(split(crate::Error::encode("x".as_ref())(error())), AudioError::Full), "{kind}");
        }
        assert!(matches!(io(ErrorKind::Other.into()), AudioError::Failed(_)));
    }

    #[test]
    fn control_characters_are_removed_from_message() {
        let error = decode(DecodeError::Unsupported("a codec named\r\n\u{1b}[31m".into()));
        assert_eq!(error.to_string(), "unsupported format: a codec named   [31m");
    }
}
