//! The stored forms of passwords and tokens.

use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// A stored password: the output of a [`PasswordHasher`](crate::ports::PasswordHasher), with salt and parameters.
/// Opaque to other code, and hidden from `Debug` because it allows offline guessing.
#[derive(Debug, Clone)]
pub struct PasswordHash(Secret<String>);

/// How the text begins for an account without a password. No hasher writes it.
const NONE: &str = "!none ";

impl PasswordHash {
    /// Wraps a hash from a hasher or a store.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// Returns what an account has that no password opens. It is still secret: other secrets of the account follow from it.
    #[must_use]
    pub fn none(random: &str) -> Self {
        Self::new(format!("{NONE}{random}"))
    }

    /// Returns whether a password opens the account.
    #[must_use]
    pub fn is_some(&self) -> bool {
        !self.expose().starts_with(NONE)
    }

    /// Returns the text to store or to verify against.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The stored form of a session or API token: its SHA-256.
///
/// Stores look up sessions by digest and never see the token, so a copied database gives no access. Passwords need a
/// slow hash; tokens do not, because they are random and long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionDigest([u8; 32]);

impl SessionDigest {
    /// Returns the digest of a token.
    #[must_use]
    pub fn of(token: &Secret<String>) -> Self {
        Self(Sha256::digest(token.expose().as_bytes()).into())
    }

    /// Returns the bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns a digest from its stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
