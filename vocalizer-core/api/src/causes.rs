//! Formats an error with its causes for logs and messages.

use std::error::Error;

/// An error of any type, as a cause of another error.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Returns an error and its causes in one line: `the store is unavailable: disk I/O error`.
///
/// A cause is skipped if the text already ends with it, as with transparent errors.
///
/// ```
/// use vocalizer_api::causes::chain;
///
/// let error = std::io::Error::other("the disk\nis full");
/// assert_eq!(chain(&error), "the disk is full");
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
