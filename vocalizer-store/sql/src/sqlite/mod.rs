//! SQLite files.

mod database;
mod error;
mod file;

pub use database::{Database, Step};
pub use error::{SqliteError, WriteError};
pub use file::Replaced;
