//! The way of songs from the backend to the workers.
//!
//! | queue | outlives the process | for |
//! | --- | --- | --- |
//! | [`SqliteQueue`] | yes | the service that brings its queue along, in the file that its songs are in |
//! | `PostgresQueue` (feature `postgres`) | yes, in PostgreSQL | any number of servers, beside the songs of all of them |
//! | [`MemoryQueue`] | no | tests, and services that may forget their work |
//! | `AmqpQueue` (feature `amqp`) | yes, at RabbitMQ | workers on other machines, added and removed at will |
//!
//! All fill the port [`JobQueue`](vocalizer_core::ports::JobQueue), and are held to it by the suite that
//! `vocalizer-core` has for every queue.
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
//! queue.publish(Job { hash: SongHash::of(song), payload: JobPayload::Inline(song[..].into()) }).await?;
//!
//! // A worker that dies drops its lease, or stops extending it; the job comes again.
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
mod finish;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod schedule;
mod sqlite;

#[cfg(feature = "amqp")]
pub use amqp::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};
pub use memory::MemoryQueue;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresQueue, PostgresQueueSettings};
pub use sqlite::SqliteQueue;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
