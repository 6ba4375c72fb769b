//! A job queue in a SQLite file.

mod queue;
mod record;

pub use queue::SqliteQueue;
