//! A job queue in PostgreSQL, for any number of servers.

mod connections;
mod jobs;
mod lines;
mod listen;
mod queue;
mod settings;

pub use queue::PostgresQueue;
pub use settings::PostgresQueueSettings;
