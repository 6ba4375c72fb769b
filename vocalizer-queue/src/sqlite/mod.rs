//! A job queue in a SQLite file.

mod file;
mod open;
mod queue;
mod record;

pub use queue::SqliteQueue;
