//! Holding on to a lease while something else is going on.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::causes::chain;
use crate::ports::{Clock, Lease, QueueError};

/// A lease that is extended in time, as long as somebody waits through it.
pub(super) struct HeldLease<'a> {
    pub(super) lease: Box<dyn Lease>,
    clock: &'a dyn Clock,
    /// Not yet, at first: whoever granted the lease is to hear at once that it arrived.
    extended_at: Option<Duration>,
}

/// The lease ran out: the job is somebody else's.
#[derive(Debug)]
pub(super) struct Lost;

impl<'a> HeldLease<'a> {
    pub(super) fn new(lease: Box<dyn Lease>, clock: &'a dyn Clock) -> Self {
        Self { lease, clock, extended_at: None }
    }

    /// Extends the lease the first time, and then whenever a third of it is over. A queue that is away is no reason to stop: the lease may hold yet.
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
                tracing::warn!(error = %chain(&error), "a lease could not be extended");
                Ok(())
            }
        }
    }

    /// Does something and keeps the lease meanwhile.
    pub(super) async fn through<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Lost> {
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
