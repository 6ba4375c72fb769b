//! Job queues that deliver songs from the backend to the workers.
//!
//! | queue | durable | use it for |
//! | --- | --- | --- |
//! | [`SqliteQueue`] | yes | a single service; it can share the SQLite file of the songs |
//! | `PostgresQueue` (feature `postgres`) | yes, in PostgreSQL | several servers; it can share their database |
//! | [`MemoryQueue`] | no | tests, and services that may lose their jobs |
//! | `AmqpQueue` (feature `amqp`) | yes, in RabbitMQ | any number of workers on other machines |
//!
//! All implement the port [`JobQueue`](vocalizer_core::ports::JobQueue) and pass the conformance suite of
//! `vocalizer-core`.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use vocalizer_core::ports::{Job, JobPayload, JobQueue, QueueError};
//! use vocalizer_core::song::SongHash;
//! use vocalizer_queue::MemoryQueue;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), QueueError> {
//! let queue = MemoryQueue::new(Duration::from_secs(60));
//! let song = b"the bytes of a song";
//! queue.publish(Job::new(SongHash::of(song), JobPayload::Inline(song[..].into()))).await?;
//!
//! // If a worker dies, its lease is dropped or expires, and the job is delivered again.
//! drop(queue.lease().await?);
//!
//! let lease = queue.lease().await?;
//! assert_eq!(lease.attempt(), 2);
//! lease.acknowledge().await
//! # }
//! ```

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(any(feature = "amqp", feature = "postgres", feature = "sqlite"))]
mod finish;
mod memory;
#[cfg(feature = "amqp")]
mod models;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg_attr(
    not(feature = "sqlite"),
    expect(dead_code, reason = "the queue in SQLite needs more of it than the one in memory")
)]
mod schedule;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "amqp")]
pub use amqp::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};
pub use memory::MemoryQueue;
#[cfg(feature = "amqp")]
pub use models::ModelQueues;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresQueue, PostgresQueueSettings};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteQueue;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
