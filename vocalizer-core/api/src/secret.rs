//! Values that must not appear in logs.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A value that `Debug` hides: a password, a token, a URL with credentials.
///
/// It has no `Display`, `Serialize` or `PartialEq`. [`Secret::expose`] is the only access, which is easy to search for,
/// and [`Secret::matches`] is the only comparison, which reveals nothing through its timing.
///
/// ```
/// use vocalizer_api::secret::Secret;
///
/// let password = Secret::new("correct horse".to_owned());
/// assert_eq!(format!("{password:?}"), "Secret(..)");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the hidden value.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the hidden value by value.
    #[must_use]
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Returns whether `guess` equals the secret.
    ///
    /// Compares digests instead of the texts: where two digests differ says nothing about the texts, so timing does not
    /// help an attacker.
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

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
