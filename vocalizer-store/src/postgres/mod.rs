//! Songs, share links, users, webhooks, the outboxes and shared server state in a PostgreSQL database, for any number of
//! servers.
//!
//! A transaction on songs first takes an advisory lock on their hash, so that transactions on the same hash are
//! serialized across servers, and others run in parallel. The locks of [`Coordination`](vocalizer_core::ports::Coordination) last
//! longer: they are rows that expire after 15 seconds, by the database's clock, unless their server renews them. A
//! server that hangs or loses its database connection loses its locks, and its later writes are rejected: each
//! transaction on a hash checks before its commit that the server still holds the lock. Do not use a pooler in
//! transaction mode: a commit must complete in the session that began it.
//!
//! # Example
//!
//! ```no_run
//! use vocalizer_core::ports::SongRepository;
//! use vocalizer_core::secret::Secret;
//! use vocalizer_store::postgres::{PostgresSettings, PostgresStore};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let url = Secret::new("postgres://vocalizer:correct%20horse@db.example.org/vocalizer?sslmode=verify-full".to_owned());
//! let store = PostgresStore::open(&url, PostgresSettings { max_connections: 20, ..Default::default() }).await?;
//! assert_eq!(store.count().await?, [0; 5]);
//! # Ok(())
//! # }
//! ```

#![allow(clippy::duplicate_mod, reason = "the modules in sql/engine are compiled once for each engine")]

#[path = "../sql/engine/accounts.rs"]
mod accounts;
#[path = "../sql/engine/administration.rs"]
mod administration;
mod attempts;
mod clock;
mod commits;
mod coordination;
#[cfg(feature = "sqlite")]
mod copy;
mod engine;
mod error;
#[path = "../sql/engine/labels.rs"]
mod labels;
#[path = "../sql/engine/library.rs"]
mod library;
#[path = "../sql/engine/lines.rs"]
mod lines;
mod local_state;
mod locks;
#[path = "../sql/engine/markers.rs"]
mod markers;
mod open;
#[path = "../sql/engine/quotas.rs"]
mod quotas;
#[path = "../sql/engine/result_rows.rs"]
mod result_rows;
#[path = "../sql/engine/results.rs"]
mod results;
#[path = "../sql/engine/shares.rs"]
mod shares;
#[path = "../sql/engine/songs.rs"]
mod songs;
mod steps;
#[path = "../sql/engine/trash.rs"]
mod trash;
#[path = "../sql/engine/uploads.rs"]
mod uploads;
#[path = "../sql/engine/webhooks.rs"]
mod webhooks;

pub use clock::PostgresClock;
#[cfg(feature = "sqlite")]
pub use copy::{Copied, CopyError, copy_from_sqlite};
pub use open::{PostgresSettings, PostgresStore};
pub use vocalizer_sql::postgres::PostgresError;
