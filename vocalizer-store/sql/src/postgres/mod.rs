//! PostgreSQL databases.

mod database;
mod error;

pub use database::Database;
pub use error::{PostgresError, timed_out};
