//! Errors.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_api::causes::BoxError;

use super::file::Replaced;

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
        "{} was written by a newer version of Vocalizer (migration {version} in {table}); upgrade this program",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The table of applied migrations.
        table: &'static str,
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

/// An error from a write transaction.
#[derive(Debug, Error)]
pub enum WriteError {
    /// SQLite's error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The files in the folder are not the open ones.
    #[error(transparent)]
    Replaced(#[from] Replaced),
}
