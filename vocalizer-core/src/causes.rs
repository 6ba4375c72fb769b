//! Errors with everything that caused them, as logs and people read them.

use std::error::Error;

/// An error and what caused it, in one line: `the store is unavailable: disk I/O error`.
///
/// A message that its cause only repeats, as transparent errors do, stands once.
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
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.dedup();
    causes.join(": ").replace(['\n', '\r'], " ")
}
