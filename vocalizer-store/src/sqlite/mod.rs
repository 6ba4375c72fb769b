//! Songs, users and the outbox in a SQLite file.
//!
//! The SQL of an engine is its own, in its own folder of migrations and its own module: what they share is the port,
//! and the suite that holds both to it.

mod accounts;
mod error;
mod migrations;
mod open;
mod rows;
mod songs;

pub use error::SqliteError;
pub use open::SqliteStore;
