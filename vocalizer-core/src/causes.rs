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
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.replace(['\n', '\r'], " ")
}
