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
    extended_at: Duration,
}

/// The lease ran out: the job is somebody else's.
#[derive(Debug)]
pub(super) struct Lost;

impl<'a> HeldLease<'a> {
    pub(super) fn new(lease: Box<dyn Lease>, clock: &'a dyn Clock) -> Self {
        let extended_at = clock.elapsed();
        Self { lease, clock, extended_at }
    }

    /// Extends the lease if a third of it is over. A queue that is away is no reason to stop: the lease may hold yet.
    pub(super) async fn keep(&mut self) -> Result<(), Lost> {
        let now = self.clock.elapsed();
        if now.saturating_sub(self.extended_at) < self.lease.visibility() / 3 {
            return Ok(());
        }
        match self.lease.extend().await {
            Ok(()) => {
                self.extended_at = now;
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
