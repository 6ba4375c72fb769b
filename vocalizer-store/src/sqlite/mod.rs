//! Songs, users and the outbox in a SQLite file.
//!
//! The SQL of an engine is its own, in its own folder of migrations and its own module: what they share is the port,
//! the suite that holds both to it, and how rows are read.

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
