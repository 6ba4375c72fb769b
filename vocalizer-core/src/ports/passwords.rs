//! Password hashing.

use async_trait::async_trait;
use thiserror::Error;

use super::BoxError;
use crate::account::PasswordHash;
use crate::secret::Secret;

/// Hashes passwords with a deliberately slow hash, off the caller's thread.
///
/// Nothing is durable, and every call may be repeated or dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use async_trait::async_trait;
/// # use vocalizer_core::{account::PasswordHash, ports::*, secret::Secret};
/// # struct Plain;
/// // For tests only: stores the password itself.
/// #[async_trait]
/// impl PasswordHasher for Plain {
///     async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError> {
///         Ok(PasswordHash::new(password.expose().clone()))
///     }
///     async fn verify(&self, guess: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
///         Ok(hash.is_some_and(|hash| guess.matches(hash.expose().as_bytes())))
///     }
/// }
/// # let hash = Plain.hash(&Secret::new("correct horse".to_owned())).await?;
/// # assert!(Plain.verify(&Secret::new("correct horse".to_owned()), Some(&hash)).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password with a new salt, so that equal passwords have different hashes.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Failed`].
    async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError>;

    /// Returns whether `password` matches `hash`.
    ///
    /// With `None` it returns `false` after the same time as for a real hash, so that response times do not reveal
    /// whether a username exists.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Malformed`] or [`PasswordError::Failed`].
    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError>;
}

/// An error of a password hasher; a wrong password is not an error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// This hasher cannot parse the stored hash.
    #[error("malformed password hash in the store")]
    Malformed(#[source] BoxError),
    /// Hashing failed, for example for lack of memory.
    #[error("hashing the password failed")]
    Failed(#[source] BoxError),
}
