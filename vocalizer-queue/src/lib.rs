//! The way of songs from the backend to the workers.
//!
//! So far there is one queue, [`MemoryQueue`], for tests and for a service that may forget its work. The durable embedded
//! queue comes with the service, RabbitMQ with the broker; all of them fill the port
//! [`JobQueue`](vocalizer_core::ports::JobQueue).
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
//! assert_eq!(lease.delivery(), Some(2));
//! lease.acknowledge().await
//! # }
//! ```

mod memory;

pub use memory::MemoryQueue;
