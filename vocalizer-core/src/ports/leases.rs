//! Leases that outlive the process that granted them.

use std::time::Duration;

use async_trait::async_trait;

use super::queue::{Failure, QueueError};
use crate::id::opaque_id;
use crate::song::SongHash;

opaque_id!(
    /// Names a lease to the worker that has it, and to nobody else.
    LeaseId,
    ParseLeaseIdError,
    "lease"
);

/// A job that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedJob {
    /// What to extend and to settle it by.
    pub lease: LeaseId,
    /// Which song.
    pub hash: SongHash,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// How long the lease holds from now, and again from each time it is extended.
    pub visibility: Duration,
}

/// Leases for workers that know only an identifier. They are stored with the jobs: every process that has the queue open
/// can extend and settle them, and a restart forgets none.
///
/// The response that gives a worker its job may get lost. So the attempt counts from the first
/// [`extend`](DurableLeases::extend): a lease that runs out before that was no attempt. A worker extends a lease before it
/// does anything else.
#[async_trait]
pub trait DurableLeases: Send + Sync {
    /// Waits for a job and leases it. On return the lease is durable.
    ///
    /// Cancel-safe: a job taken by a dropped call goes back on the queue, and that was no attempt.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn grant(&self) -> Result<LeasedJob, QueueError>;

    /// Keeps a lease from running out, for as long again as it was granted, and counts the attempt. Repeats do no harm.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] when it has run out, was settled or never was; [`QueueError::Unavailable`].
    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError>;

    /// Ends a lease as [`Lease::acknowledge`](super::Lease::acknowledge) or [`Lease::fail`](super::Lease::fail) does.
    ///
    /// # Errors
    ///
    /// As [`Self::extend`].
    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError>;
}
