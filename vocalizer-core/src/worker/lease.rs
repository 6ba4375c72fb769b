//! Keeps a lease alive while other work runs.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::causes::chain;
use crate::ports::{Clock, Lease, QueueError};

/// A lease that is extended in time while work runs through it.
pub(super) struct HeldLease<'a> {
    pub(super) lease: Box<dyn Lease>,
    clock: &'a dyn Clock,
    /// `None` at first, so that the first check extends at once and confirms to the queue that the job arrived.
    extended_at: Option<Duration>,
}

/// The lease ran out: another worker may have the job.
#[derive(Debug)]
pub(super) struct Lost;

impl<'a> HeldLease<'a> {
    pub(super) fn new(lease: Box<dyn Lease>, clock: &'a dyn Clock) -> Self {
        Self { lease, clock, extended_at: None }
    }

    /// Extends the lease on the first call and then after every third of its duration. If the queue is unavailable, the
    /// work continues: the lease may still be valid.
    pub(super) async fn keep(&mut self) -> Result<(), Lost> {
        let now = self.clock.elapsed();
        let third = self.lease.visibility() / 3;
        if self.extended_at.is_some_and(|extended_at| now.saturating_sub(extended_at) < third) {
            return Ok(());
        }
        match self.lease.extend().await {
            Ok(()) => {
                self.extended_at = Some(now);
                Ok(())
            }
            Err(QueueError::LeaseLost) => Err(Lost),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "extending the lease failed");
                Ok(())
            }
        }
    }

    /// Runs `work` and keeps the lease alive meanwhile.
    pub(super) async fn keep_during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Lost> {
        let mut work = pin!(work);
        let tick = self.lease.visibility() / 6;
        loop {
            self.keep().await?;
            match select(work.as_mut(), self.clock.sleep(tick)).await {
                Either::Left((done, _)) => return Ok(done),
                Either::Right(_) => {}
            }
        }
    }
}
