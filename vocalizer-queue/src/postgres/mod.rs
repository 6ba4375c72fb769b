//! A job queue in PostgreSQL, for any number of servers.

mod connections;
mod jobs;
mod listen;
mod open;
mod queue;

pub use open::PostgresQueueSettings;
pub use queue::PostgresQueue;
