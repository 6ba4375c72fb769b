//! How much may be open at once.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::account::household;
use vocalizer_core::tally::{Taken, Tally};

use crate::failure::Failure;
use crate::settings::Caps;

/// Places for one kind of work.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    busy: &'static str,
}

impl Places {
    /// So many places. `busy` says that all of them are taken.
    pub(crate) fn new(count: usize, busy: &'static str) -> Self {
        Self { free: semaphore(count), busy }
    }

    /// Takes a place, which is free again when the permit is dropped. It does not wait.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| Failure::busy(self.busy))
    }
}

/// Counts connections, in all and by address.
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    by_address: Tally<IpAddr>,
    trusted_proxies: Vec<IpNet>,
}

/// A connection that may be served. Dropping it makes room for another one.
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

    /// Admits a connection, unless there are too many.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let peer = peer.to_canonical();
        // A proxy brings everybody's connections, and can count its clients itself.
        let is_proxy = self.trusted_proxies.iter().any(|net| net.contains(&peer));
        let counted = if is_proxy { None } else { Some(self.by_address.take(household(peer)).ok()?) };
        Some(Admitted { _permit: permit, _counted: counted })
    }
}

fn semaphore(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
