//! Caps on connections and long responses.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vocalizer_core::account::{Share, household};
use vocalizer_core::tally::{Bound, Taken, Tally};

use crate::failure::Failure;
use crate::request::Request;
use crate::settings::Caps;

/// Counts long responses of one kind, in total and per client.
pub(crate) struct LongResponses {
    open: Tally<Share>,
    server_is_busy: &'static str,
    client_is_busy: &'static str,
}

impl LongResponses {
    /// Counts downloads of archives.
    pub(crate) fn archives(caps: &Caps) -> Self {
        Self {
            open: Tally::new(caps.archives, caps.archives_per_client),
            server_is_busy: "too many concurrent archive downloads; try again later",
            client_is_busy: "too many archive downloads from this client; wait until one has finished",
        }
    }

    /// Counts event streams. They stay open for as long as a page does, so they must leave room for everything else.
    pub(crate) fn event_streams(caps: &Caps) -> Self {
        Self {
            open: Tally::new(caps.event_streams, caps.event_streams_per_client),
            server_is_busy: "too many event streams on this server; try again later",
            client_is_busy: "too many event streams from this client; close some or poll instead",
        }
    }

    /// Counts one more until the value is dropped, unless that would exceed a cap.
    pub(crate) fn take(&self, request: &Request) -> Result<Taken<Share>, Failure> {
        self.open.take(request.client().share()).map_err(|bound| {
            Failure::busy(match bound {
                Bound::All => self.server_is_busy,
                Bound::Key => self.client_is_busy,
            })
        })
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
