//! Repositories and blobs that live as long as the process: for tests, fuzzing, and trying things out.
//!
//! They are held to the same suites as the durable ones, and lock everything for every step.

mod accounts;
mod blobs;
mod clock;
mod songs;

pub use accounts::MemoryAccounts;
pub use blobs::MemoryBlobs;
pub use clock::ManualClock;
pub use songs::MemorySongs;
