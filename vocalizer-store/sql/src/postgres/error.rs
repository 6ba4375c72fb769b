//! Errors.

use std::io;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use thiserror::Error;
use vocalizer_api::causes::BoxError;

/// An error from opening or migrating a database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL is invalid or has another scheme.
    #[error("invalid database URL; use postgres://user:password@host:port/database")]
    Url(#[source] BoxError),
    /// The connection failed, or the server is starting up or shutting down.
    #[error("{place} cannot be reached")]
    Unreachable {
        /// Database, host and port.
        place: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The server has no TLS, or its certificate is not trusted.
    #[error(
        "{place} cannot be reached over verified TLS; add ?sslrootcert=FILE to the URL for a private CA, or \
         ?sslmode=disable on a trusted network"
    )]
    Tls {
        /// Database, host and port.
        place: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The user name or password is wrong.
    #[error("{place} rejected the login of user {user}")]
    Authentication {
        /// Database, host and port.
        place: String,
        /// The user.
        user: String,
        /// PostgreSQL's error.
        #[source]
        source: BoxError,
    },
    /// The database does not exist.
    #[error("the database {place} does not exist; create it with this user as its owner")]
    NoDatabase {
        /// Database, host and port.
        place: String,
        /// PostgreSQL's error.
        #[source]
        source: BoxError,
    },
    /// The connection limit of the server, the database or the user is reached.
    #[error("{place} has reached its connection limit")]
    TooManyConnections {
        /// Database, host and port.
        place: String,
        /// PostgreSQL's error.
        #[source]
        source: BoxError,
    },
    /// A newer version wrote the database.
    #[error(
        "{place} was written by a newer version of Vocalizer (migration {version} in {table}); upgrade this program"
    )]
    Newer {
        /// Database, host and port.
        place: String,
        /// The table of applied migrations.
        table: &'static str,
        /// Its unknown migration.
        version: i64,
    },
    /// Any other error: unexpected tables, or missing permissions.
    #[error("cannot use the database {place}")]
    Database {
        /// Database, host and port.
        place: String,
        /// PostgreSQL's error.
        #[source]
        source: BoxError,
    },
}

impl PostgresError {
    /// Converts an error from connecting, or from a statement on that connection.
    pub(super) fn of(error: sqlx::Error, place: &str, user: &str) -> Self {
        let place = place.to_owned();
        match &error {
            sqlx::Error::Database(cause) => match code(cause.as_ref()).as_deref() {
                Some("28P01" | "28000") => Self::Authentication { place, user: user.to_owned(), source: error.into() },
                Some("3D000") => Self::NoDatabase { place, source: error.into() },
                Some("53300") => Self::TooManyConnections { place, source: error.into() },
                // Starting up, shutting down, or terminated by an administrator.
                Some("57P01" | "57P02" | "57P03") => Self::Unreachable { place, source: error.into() },
                _ => Self::Database { place, source: error.into() },
            },
            sqlx::Error::Tls(_) => Self::Tls { place, source: error.into() },
            // A failed TLS handshake.
            sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                Self::Tls { place, source: error.into() }
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Self::Unreachable { place, source: error.into() },
            _ => Self::Database { place, source: error.into() },
        }
    }

    pub(super) fn of_migration(error: MigrateError, table: &'static str, place: &str, user: &str) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer { place: place.to_owned(), table, version },
            MigrateError::Execute(error) => Self::of(error, place, user),
            error => Self::Database { place: place.to_owned(), source: error.into() },
        }
    }
}

fn code(error: &dyn DatabaseError) -> Option<String> {
    error.code().map(|code| code.into_owned())
}

/// Returns a timeout error.
#[must_use]
pub fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}
