//! Leases that outlive the process that granted them.

use std::time::Duration;

use async_trait::async_trait;
use vocalizer_api::id::LeaseId;

use super::queue::{Failure, QueueError};
use crate::song::SongHash;

/// A job leased by identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedJob {
    /// The lease to extend and settle.
    pub lease: LeaseId,
    /// The hash of the song.
    pub hash: SongHash,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How long the lease is valid from now, and from each extension.
    pub visibility: Duration,
}

/// Leases for workers that know only an identifier. They are stored with the jobs: every process that has the queue
/// open can extend and settle them, and they survive a restart.
///
/// The response that gives a worker its job may get lost. So the attempt counts from the first
/// [`extend`](DurableLeases::extend): a lease that expires before that is not an attempt. A worker extends a lease
/// before anything else.
#[async_trait]
pub trait DurableLeases: Send + Sync {
    /// Waits for a job and leases it. On return the lease is durable.
    ///
    /// Cancel-safe: a job taken by a dropped call returns to the queue, and no attempt is counted.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`].
    async fn grant(&self) -> Result<LeasedJob, QueueError>;

    /// Extends a lease by its full duration from now and counts the attempt. Idempotent.
    ///
    /// # Errors
    ///
    /// [`QueueError::LeaseLost`] if it has expired, was settled or never existed; [`QueueError::Unavailable`].
    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError>;

    /// Settles a lease like [`Lease::acknowledge`](super::Lease::acknowledge) or [`Lease::fail`](super::Lease::fail).
    ///
    /// # Errors
    ///
    /// As [`Self::extend`].
    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError>;
}
