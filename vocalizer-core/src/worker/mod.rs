//! The worker: takes jobs, splits songs, delivers stems, over the ports.
//!
//! A job is acknowledged after its result was accepted and never before, so that a worker may die at any moment. What
//! goes wrong is put into one of three classes ([`Failure`](crate::ports::Failure)): try again, later, never.

mod attempt;
mod lease;
mod run;
mod settings;
mod source;
mod trouble;

pub(crate) use attempt::DAMAGED;
pub use run::{Worker, WorkerPorts};
pub use settings::{WorkerCounts, WorkerSettings};
