//! Values that must not reach a log.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A value whose `Debug` hides it: a password, a token, a URL with credentials.
///
/// There is no `Display`, no `Serialize` and no `PartialEq`: the only way to the value is [`Secret::expose`], which is
/// easy to search for, and the only comparison is [`Secret::matches`], which takes no longer for a better guess.
///
/// ```
/// use vocalizer_core::secret::Secret;
///
/// let password = Secret::new("correct horse".to_owned());
/// assert_eq!(format!("{password:?}"), "Secret(..)");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The hidden value.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The hidden value, no longer hidden.
    #[must_use]
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Whether `guess` is the secret.
    ///
    /// Digests are compared rather than the texts: how early two digests differ tells nothing about how early the texts
    /// do, so the time this takes does not help a guesser.
    #[must_use]
    pub fn matches(&self, guess: &[u8]) -> bool {
        Sha256::digest(self.0.as_ref()) == Sha256::digest(guess)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
