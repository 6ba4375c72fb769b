//! Errors.

use sqlx::error::DatabaseError;
use vocalizer_core::ports::RepositoryError;

/// Converts a database error to the port's error.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() || cause.is_foreign_key_violation() => {
            RepositoryError::Conflict
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RepositoryError::Corrupt(error.into()),
        // Corrupted data or index.
        sqlx::Error::Database(cause)
            if code(cause.as_ref()).is_some_and(|code| matches!(&*code, "XX001" | "XX002")) =>
        {
            RepositoryError::Corrupt(error.into())
        }
        _ => RepositoryError::Unavailable(error.into()),
    }
}

/// Whether the transaction conflicted with another one, so that a retry may succeed.
pub(super) fn is_conflict(error: &RepositoryError) -> bool {
    let RepositoryError::Unavailable(cause) = error else { return false };
    let Some(sqlx::Error::Database(error)) = cause.downcast_ref() else { return false };
    // Serialization failure and deadlock.
    code(error.as_ref()).is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

fn code(error: &dyn DatabaseError) -> Option<String> {
    error.code().map(|code| code.into_owned())
}
