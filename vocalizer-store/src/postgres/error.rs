//! What can go wrong.

use std::io;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use thiserror::Error;
use vocalizer_core::ports::{BoxError, RepositoryError};

/// Why a database could not be opened or brought up to date.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL is none, or not of this kind.
    #[error("the database's URL is not of the form postgres://user:password@host:port/database")]
    Url(#[source] BoxError),
    /// Nobody answers there, or not yet, or not in the way that the URL asks for.
    #[error("{place} cannot be reached")]
    Unreachable {
        /// The host and the database.
        place: String,
        /// What stood in the way.
        #[source]
        source: BoxError,
    },
    /// There is no TLS, or its certificate is not trusted.
    #[error(
        "{place} cannot be reached over verified TLS; add ?sslrootcert=FILE to the URL for an authority of your own, or \
         ?sslmode=disable where nobody else is on the network"
    )]
    Tls {
        /// The host and the database.
        place: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The user or the password is not the right one.
    #[error("{place} does not let user {user} in")]
    Authentication {
        /// The host and the database.
        place: String,
        /// As whom.
        user: String,
        /// What PostgreSQL says.
        #[source]
        source: BoxError,
    },
    /// The server is there, the database is not.
    #[error("there is no database {place}: create it, with the user as its owner")]
    NoDatabase {
        /// The host and the database.
        place: String,
        /// What PostgreSQL says.
        #[source]
        source: BoxError,
    },
    /// The server, the database or the user has as many connections as it may have.
    #[error("{place} takes no more connections")]
    TooManyConnections {
        /// The host and the database.
        place: String,
        /// What PostgreSQL says.
        #[source]
        source: BoxError,
    },
    /// It was written by a newer version, whose rules this one does not know.
    #[error("{place} was written by a newer version of Vocalizer: it has migration {version}")]
    Newer {
        /// The host and the database.
        place: String,
        /// A migration that it has had.
        version: i64,
    },
    /// It cannot be used for another reason: tables that are not as expected, or what the user may not do.
    #[error("the database {place} cannot be used")]
    Database {
        /// The host and the database.
        place: String,
        /// What PostgreSQL says.
        #[source]
        source: BoxError,
    },
}

impl PostgresError {
    /// Sorts what happened while connecting, or later on the same connection.
    pub(super) fn of(error: sqlx::Error, place: &str, user: &str) -> Self {
        let place = place.to_owned();
        match &error {
            sqlx::Error::Database(said) => match code(said.as_ref()).as_deref() {
                Some("28P01" | "28000") => Self::Authentication { place, user: user.to_owned(), source: error.into() },
                Some("3D000") => Self::NoDatabase { place, source: error.into() },
                Some("53300") => Self::TooManyConnections { place, source: error.into() },
                // Starting up, shutting down, or thrown out by somebody.
                Some("57P01" | "57P02" | "57P03") => Self::Unreachable { place, source: error.into() },
                _ => Self::Database { place, source: error.into() },
            },
            sqlx::Error::Tls(_) => Self::Tls { place, source: error.into() },
            // So a handshake fails.
            sqlx::Error::Io(said) if said.kind() == io::ErrorKind::InvalidData => {
                Self::Tls { place, source: error.into() }
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Self::Unreachable { place, source: error.into() },
            _ => Self::Database { place, source: error.into() },
        }
    }

    pub(super) fn of_migration(error: MigrateError, place: &str, user: &str) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer { place: place.to_owned(), version },
            MigrateError::Execute(error) => Self::of(error, place, user),
            error => Self::Database { place: place.to_owned(), source: error.into() },
        }
    }
}

/// Sorts what the engine says into what the port knows.
pub(super) fn repository(error: sqlx::Error) -> RepositoryError {
    match &error {
        sqlx::Error::Database(said) if said.is_unique_violation() || said.is_foreign_key_violation() => {
            RepositoryError::Conflict
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RepositoryError::Corrupt(error.into()),
        // Data or an index that PostgreSQL itself cannot read.
        sqlx::Error::Database(said) if code(said.as_ref()).is_some_and(|code| matches!(&*code, "XX001" | "XX002")) => {
            RepositoryError::Corrupt(error.into())
        }
        _ => RepositoryError::Unavailable(error.into()),
    }
}

/// Whether two steps got in each other's way, so that the same one may well succeed when it is done again.
pub(super) fn collided(error: &RepositoryError) -> bool {
    let RepositoryError::Unavailable(cause) = error else { return false };
    let Some(sqlx::Error::Database(said)) = cause.downcast_ref() else { return false };
    // A serialization failure, and a deadlock.
    code(said.as_ref()).is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

fn code(said: &dyn DatabaseError) -> Option<String> {
    said.code().map(|code| code.into_owned())
}
