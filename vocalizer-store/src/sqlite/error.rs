//! What can go wrong.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_core::ports::{BoxError, RepositoryError};

/// Why a database could not be opened or brought up to date.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The system refused the file.
    #[error("{} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was written by a newer version, whose rules this one does not know.
    #[error("{} was written by a newer version of Vocalizer: it has migration {version}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// A migration that it has had.
        version: i64,
    },
    /// It is no database, or is broken, locked or full.
    #[error("the database {} cannot be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: BoxError,
    },
}

/// Sorts what the engine says into what the port knows.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    match &error {
        sqlx::Error::Database(said) if said.is_unique_violation() || said.is_foreign_key_violation() => {
            RepositoryError::Conflict
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RepositoryError::Corrupt(error.into()),
        sqlx::Error::Database(said) if said.code().is_some_and(|code| is_corrupt(&code)) => {
            RepositoryError::Corrupt(error.into())
        }
        _ => RepositoryError::Unavailable(error.into()),
    }
}

/// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, with whatever SQLite adds in the higher bits.
fn is_corrupt(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26))
}
