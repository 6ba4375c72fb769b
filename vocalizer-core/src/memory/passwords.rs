//! Passwords without hashing.

use async_trait::async_trait;

use crate::account::PasswordHash;
use crate::ports::{PasswordError, PasswordHasher};
use crate::secret::Secret;

/// A [`PasswordHasher`] that keeps passwords as they are, for tests only: hashing takes a while by design.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainPasswords;

#[async_trait]
impl PasswordHasher for PlainPasswords {
    async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError> {
        Ok(PasswordHash::new(password.expose().clone()))
    }

    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        Ok(hash.is_some_and(|hash| hash.expose() == password.expose()))
    }
}
