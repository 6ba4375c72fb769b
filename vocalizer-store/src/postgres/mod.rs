//! Songs, users, the outbox, and what servers have in common, in a PostgreSQL database that any number of servers share.
//!
//! A step takes a lock of its hash before it looks at songs, so that steps on the same bytes come one after another,
//! whichever server does them, and others pass by. Such locks end with their transaction. The locks that
//! [`Commons`](vocalizer_core::ports::Commons) gives out last longer: they belong to one connection of each server,
//! beside its pool. Should that connection break, what it held is lost, and the database may give it to another server
//! before its holder is done; within a server a lock stays with its holder also then. Both kinds need a session of the
//! database's own: put no pooler in between that shares connections by transaction.
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

mod accounts;
mod attempts;
mod commits;
mod commons;
mod copy;
mod error;
mod locks;
mod migrations;
mod open;
mod quotas;
mod songs;
mod steps;

pub use copy::{Copied, CopyError, copy_from_sqlite};
pub use error::PostgresError;
pub use open::{PostgresSettings, PostgresStore};
