//! Errors.

use vocalizer_core::ports::RepositoryError;

use crate::sql::rules;

/// Converts a database error to the port's error.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    // Corrupted data or index.
    rules::repository(error, |code| matches!(code, "XX001" | "XX002"))
}

/// Whether the transaction conflicted with another one, so that a retry may succeed.
pub(super) fn is_conflict(error: &RepositoryError) -> bool {
    let RepositoryError::Unavailable(cause) = error else { return false };
    let Some(sqlx::Error::Database(error)) = cause.downcast_ref() else { return false };
    // Serialization failure and deadlock.
    error.code().is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}
