//! Songs, share links, users, webhooks and the outboxes in a SQLite file.
//!
//! Each engine has its own migrations and module. They share the modules in `sql/engine`, which are compiled once for
//! each of them; `engine` contains what differs.

#[path = "../sql/engine/accounts.rs"]
mod accounts;
#[path = "../sql/engine/administration.rs"]
mod administration;
mod engine;
mod error;
#[path = "../sql/engine/labels.rs"]
mod labels;
#[path = "../sql/engine/library.rs"]
mod library;
#[path = "../sql/engine/lines.rs"]
mod lines;
#[path = "../sql/engine/markers.rs"]
mod markers;
mod open;
#[cfg(test)]
mod plans;
#[path = "../sql/engine/quotas.rs"]
mod quotas;
#[path = "../sql/engine/result_rows.rs"]
mod result_rows;
#[path = "../sql/engine/results.rs"]
mod results;
#[path = "../sql/engine/shares.rs"]
mod shares;
#[cfg(feature = "postgres")]
mod snapshot;
#[path = "../sql/engine/songs.rs"]
mod songs;
mod steps;
#[path = "../sql/engine/trash.rs"]
mod trash;
#[path = "../sql/engine/uploads.rs"]
mod uploads;
#[path = "../sql/engine/webhooks.rs"]
mod webhooks;

pub use open::SqliteStore;
#[cfg(feature = "postgres")]
pub(crate) use snapshot::Snapshot;
pub use vocalizer_sql::sqlite::SqliteError;
