//! Repositories, blobs and a clock in memory, for tests, fuzzing and experiments.
//!
//! They pass the same conformance suites as the durable adapters. Every step takes a global lock.

mod accounts;
mod blobs;
mod clock;
mod songs;

pub use accounts::MemoryAccounts;
pub use blobs::MemoryBlobs;
pub use clock::ManualClock;
pub use songs::MemorySongs;
