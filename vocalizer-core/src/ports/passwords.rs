//! The slow hash that passwords are stored as.

use async_trait::async_trait;
use thiserror::Error;

use super::BoxError;
use crate::account::PasswordHash;
use crate::secret::Secret;

/// Hashes passwords slowly, on purpose, and off the caller's thread.
///
/// Nothing is durable and every call may be repeated or dropped.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password with a fresh salt, so that equal passwords have different hashes.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Failed`].
    async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError>;

    /// Whether `password` is the one that `hash` was made of.
    ///
    /// With `None` the answer is `false` and takes as long as any other, so that logging in with a name that nobody has
    /// is not told apart by its time.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Malformed`] or [`PasswordError::Failed`].
    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError>;
}

/// What can go wrong with passwords; a wrong one is not an error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The stored hash is not one this hasher can read.
    #[error("the stored password hash cannot be read")]
    Malformed(#[source] BoxError),
    /// Hashing itself failed, for want of memory for instance.
    #[error("hashing the password failed")]
    Failed(#[source] BoxError),
}
