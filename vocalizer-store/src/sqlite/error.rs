//! Errors.

use vocalizer_core::ports::RepositoryError;

use crate::sql::rules;

/// Converts a database error to the port's error.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    // `SQLITE_CORRUPT` and `SQLITE_NOTADB`, with any extended code in the higher bits.
    rules::repository(error, |code| code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26)))
}
