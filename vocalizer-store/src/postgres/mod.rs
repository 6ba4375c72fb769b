//! Songs, users, the outbox, and what servers have in common, in a PostgreSQL database that any number of servers share.
//!
//! A step takes a lock of its hash before it looks at songs, so that steps on the same bytes come one after another,
//! whichever server does them, and others pass by. Such locks end with their transaction. The locks that
//! [`Commons`](vocalizer_core::ports::Commons) gives out last longer: they are rows that expire after 15 seconds unless
//! their server renews them, by the database's clock. A server that has stopped or lost its database loses its locks, and
//! what it then wants to write is refused: each step on a hash checks, before its end, that the lock is still this
//! server's. Put no pooler in between that shares connections by transaction: commits are seen through to their end by
//! the session that began them.
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
mod clock;
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

pub use clock::PostgresClock;
pub use copy::{Copied, CopyError, copy_from_sqlite};
pub use error::PostgresError;
pub use open::{PostgresSettings, PostgresStore};
