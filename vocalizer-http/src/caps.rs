//! Caps on concurrent work.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::account::household;
use vocalizer_core::tally::{Taken, Tally};

use crate::failure::Failure;
use crate::settings::Caps;

/// A limited number of slots for one kind of work.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    busy: &'static str,
}

impl Places {
    /// Creates `count` slots. `busy` is the error message when all are taken.
    pub(crate) fn new(count: usize, busy: &'static str) -> Self {
        Self { free: semaphore(count), busy }
    }

    /// Takes a slot without waiting. Dropping the permit frees it.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| Failure::busy(self.busy))
    }
}

/// Counts connections, in total and per address.
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    by_address: Tally<IpAddr>,
    trusted_proxies: Vec<IpNet>,
}

/// An admitted connection. Dropping it frees its slot.
pub(crate) struct Admitted {
    _permit: OwnedSemaphorePermit,
    _counted: Option<Taken<IpAddr>>,
}

impl Connections {
    pub(crate) fn new(caps: &Caps, trusted_proxies: &[IpNet]) -> Self {
        Self {
            free: semaphore(caps.connections),
            by_address: Tally::new(usize::MAX, caps.connections_per_address),
            trusted_proxies: trusted_proxies.to_vec(),
        }
    }

    /// Admits a connection. Returns `None` above the caps.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let peer = peer.to_canonical();
        // A proxy carries the connections of many clients and can limit them itself.
        let is_proxy = self.trusted_proxies.iter().any(|net| net.contains(&peer));
        let counted = if is_proxy { None } else { Some(self.by_address.take(household(peer)).ok()?) };
        Some(Admitted { _permit: permit, _counted: counted })
    }
}

fn semaphore(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
