//! Formats an error with its causes for logs and messages.

use std::error::Error;

/// Returns an error and its causes in one line: `the store is unavailable: disk I/O error`.
///
/// A cause is skipped if the text already ends with it, as with transparent errors.
///
/// ```
/// use vocalizer_core::causes::chain;
/// use vocalizer_core::ports::RepositoryError;
///
/// let error = RepositoryError::Unavailable("the disk\nis full".into());
/// assert_eq!(chain(&error), "the store is unavailable: the disk is full");
/// ```
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !told.ends_with(&more) {
            told.push_str(": ");
            told.push_str(&more);
        }
        cause = error.source();
    }
    told.replace(['\n', '\r'], " ")
}
