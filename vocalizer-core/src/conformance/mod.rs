//! One suite per port, which every adapter of it runs: SQLite, RabbitMQ, files and memory are held to the same
//! promises.
//!
//! A suite is a list of async functions, one per promise, named for it. An adapter says where it lives by filling a
//! `…Place` in, and gets a test per promise from the suite's macro, with the attribute that makes a test of an async
//! function:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use vocalizer_core::conformance::blobs::BlobsPlace;
//! use vocalizer_core::memory::MemoryBlobs;
//! use vocalizer_core::ports::BlobStore;
//!
//! # mod tokio { pub use std::prelude::v1::test; }
//! #[derive(Default)]
//! struct Place(MemoryBlobs);
//!
//! #[async_trait]
//! impl BlobsPlace for Place {
//!     async fn blobs(&self) -> Arc<dyn BlobStore> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! vocalizer_core::blobs_conformance!(#[tokio::test] Place::default());
//! # fn main() {}
//! ```
//!
//! Promises fail by panicking. They need no runtime of their own, and where time matters they wait long and measure, so
//! that a slow machine never fails one.

#![expect(clippy::unwrap_used, reason = "a promise that is not kept is a panic")]

pub mod accounts;
pub mod attempts;
pub mod blobs;
pub mod commons;
pub mod queue;
pub mod songs;

mod macros;
mod support;
