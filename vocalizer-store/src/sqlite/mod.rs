//! Songs, users and the outbox in a SQLite file.
//!
//! Each engine has its own SQL, migrations and module. They share the ports, the conformance suite and the reading of
//! rows.

mod accounts;
mod error;
mod file;
mod migrations;
mod open;
mod quotas;
#[cfg(feature = "postgres")]
mod snapshot;
mod songs;

pub use error::SqliteError;
pub use open::SqliteStore;
#[cfg(feature = "postgres")]
pub(crate) use snapshot::Snapshot;
