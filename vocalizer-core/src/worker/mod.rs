//! The worker: takes jobs, splits songs and delivers stems through the ports.
//!
//! A job is acknowledged only after its result is accepted, so a worker may die at any moment. Every failure falls into
//! one of three classes ([`Failure`](crate::ports::Failure)): retry, postpone or give up.

mod attempt;
mod encode;
mod lease;
mod run;
mod settings;
mod source;
mod trouble;

pub(crate) use attempt::DAMAGED;
pub use encode::EncodedSeparator;
pub use run::{Worker, WorkerBuilder};
pub use settings::{WorkerCounts, WorkerSettings};
