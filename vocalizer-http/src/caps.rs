//! How much may be open at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::account::household;

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
    most_per_address: usize,
    counts: Counts,
    trusted_proxies: Vec<IpNet>,
}

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection that may be served. Dropping it makes room for another one.
pub(crate) struct Admitted {
    _permit: OwnedSemaphorePermit,
    counted: Option<(IpAddr, Counts)>,
}

impl Connections {
    pub(crate) fn new(caps: &Caps, trusted_proxies: &[IpNet]) -> Self {
        Self {
            free: semaphore(caps.connections),
            most_per_address: caps.connections_per_address,
            counts: Counts::default(),
            trusted_proxies: trusted_proxies.to_vec(),
        }
    }

    /// Admits a connection, unless there are too many.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let peer = peer.to_canonical();
        // A proxy brings everybody's connections, and can count its clients itself.
        if self.trusted_proxies.iter().any(|net| net.contains(&peer)) {
            return Some(Admitted { _permit: permit, counted: None });
        }
        let address = household(peer);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= self.most_per_address {
            return None;
        }
        counts.insert(address, count + 1);
        Some(Admitted { _permit: permit, counted: Some((address, Arc::clone(&self.counts))) })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some((address, counts)) = self.counted.take() else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

fn semaphore(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
