//! Errors.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_core::ports::{BoxError, RepositoryError};

/// An error from opening or migrating a database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The file could not be opened.
    #[error("cannot open {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A newer version wrote the database.
    #[error(
        "{} was written by a newer version of Vocalizer (migration {version}); upgrade this program",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its unknown migration.
        version: i64,
    },
    /// The file is not a database, or is corrupt, locked or full.
    #[error("cannot use the database {}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        #[source]
        source: BoxError,
    },
}

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
