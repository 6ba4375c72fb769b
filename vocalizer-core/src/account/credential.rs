//! What a store keeps in place of passwords and tokens.

use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// A password as stored: the text a [`PasswordHasher`](crate::ports::PasswordHasher) made of it, with its salt and
/// parameters. Opaque to everything but that hasher, and hidden from `Debug` because it can be guessed against.
#[derive(Debug, Clone)]
pub struct PasswordHash(Secret<String>);

impl PasswordHash {
    /// Wraps what a hasher made or a store kept.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// The text to store or to verify against.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A session's or an API token's stored form: its SHA-256.
///
/// Stores look sessions up by digest and never see the token, so a copied database logs nobody in. A plain hash is
/// enough, where a password needs a slow one, because tokens are random and long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionDigest([u8; 32]);

impl SessionDigest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &Secret<String>) -> Self {
        Self(Sha256::digest(token.expose().as_bytes()).into())
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest as a store kept it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
