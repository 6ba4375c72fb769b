//! Errors.

use vocalizer_core::ports::RepositoryError;

/// Converts a database error to the port's error.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() || cause.is_foreign_key_violation() => {
            RepositoryError::Conflict
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RepositoryError::Corrupt(error.into()),
        sqlx::Error::Database(cause) if cause.code().is_some_and(|code| is_corrupt(&code)) => {
            RepositoryError::Corrupt(error.into())
        }
        _ => RepositoryError::Unavailable(error.into()),
    }
}

/// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, with any extended code in the higher bits.
fn is_corrupt(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26))
}
