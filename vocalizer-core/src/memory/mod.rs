//! Repositories, blobs and a clock in memory, for tests, fuzzing and experiments.
//!
//! Repositories and blobs pass the same conformance suites as the durable adapters. Every step takes a global lock.

mod accounts;
mod administration;
mod audit;
mod blobs;
mod clock;
mod idle_queue;
mod labels;
mod library;
mod passwords;
mod songs;
mod trash;
mod uploads;
mod webhook_state;
mod webhooks;

pub use accounts::MemoryAccounts;
pub use administration::MemoryAdministration;
pub use audit::MemoryAudit;
pub use blobs::MemoryBlobs;
pub use clock::ManualClock;
pub use idle_queue::IdleQueue;
pub use passwords::PlainPasswords;
pub use songs::MemorySongs;
