//! Behaviour tests of the queues.

#![expect(clippy::unwrap_used, reason = "the exception for tests in clippy.toml does not cover their helpers")]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[path = "support/jobs.rs"]
mod jobs;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
