//! Conformance suites: one per port, run by every adapter of it (SQLite, RabbitMQ, files, memory, the model).
//!
//! A suite is a set of async functions, one per guarantee of the port. An adapter implements the suite's `…Place` trait
//! and calls the suite's macro, which generates a test per function. The macro takes the attribute for async tests:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use vocalizer_conformance::blobs::BlobsPlace;
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
//! vocalizer_conformance::blobs_conformance!(#[tokio::test] Place::default());
//! # fn main() {}
//! ```
//!
//! A check fails by panicking. Checks need no particular runtime. Those that depend on time use generous timeouts and
//! measure elapsed time, so that they do not fail on a slow machine.

#![expect(clippy::unwrap_used, reason = "a failed check panics")]

pub mod accounts;
pub mod administration;
pub mod attempts;
pub mod backend;
pub mod blobs;
pub mod coordination;
pub mod queue;
pub mod renderer;
pub mod results;
pub mod separator;
pub mod songs;
pub mod webhooks;

mod macros;
mod support;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
