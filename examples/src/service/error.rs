//! Configuration errors, and values that a file may hold.

use std::fmt;
use std::path::Path;

use thiserror::Error;
use vocalizer_core::limits::LimitsError;

/// A configuration error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An invalid value. The message does not include the value, which may be a secret.
    #[error("{name}: {what}")]
    Value {
        /// The option and the variable.
        name: &'static str,
        /// The problem and the remedy.
        what: String,
    },
    /// Inconsistent limits.
    #[error("inconsistent limits")]
    Limits(#[from] LimitsError),
}

pub(super) fn invalid(name: &'static str, what: impl fmt::Display) -> ConfigError {
    ConfigError::Value { name, what: what.to_string() }
}

/// Returns a value or the content of the file given instead, trimmed.
pub(super) fn text_or_file(
    name: &'static str,
    text: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    let text = match (text, file) {
        (None, None) => return Ok(None),
        (Some(text), _) => text.to_owned(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|e| invalid(name, format!("cannot read {}: {e}", file.display())))?
        }
    };
    match text.trim() {
        "" => Err(invalid(name, "set but empty; remove it to use the default")),
        text => Ok(Some(text.to_owned())),
    }
}
