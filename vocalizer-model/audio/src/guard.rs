//! Errors and panics of libraries.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::errors::Error;

use super::error::DecodeError;
use super::refused;

/// Calls a library and turns a panic into an error: a bug there must not end the process.
pub(super) fn guard<T>(run: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(DecodeError::Malformed("the decoder crashed".into())))
}

/// Converts an error of symphonia.
pub(super) fn translate(error: Error) -> DecodeError {
    match error {
        Error::IoError(source) => DecodeError::read(source),
        Error::Unsupported(what) => refused::codec(what),
        Error::LimitError(what) => DecodeError::Limit(what.into()),
        Error::DecodeError(what) => DecodeError::Malformed(what.into()),
        other => DecodeError::Malformed(other.to_string()),
    }
}
