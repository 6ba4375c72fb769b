//! A cap on open event streams. They stay open as long as a page, so they must not use up all connections.

use vocalizer_core::account::Share;
use vocalizer_core::tally::{Bound, Taken, Tally};

use crate::failure::Failure;
use crate::request::Request;
use crate::settings::Caps;

/// Counts event streams, in total and per client.
pub(crate) struct EventStreams(Tally<Share>);

impl EventStreams {
    pub(crate) fn new(caps: &Caps) -> Self {
        Self(Tally::new(caps.event_streams, caps.event_streams_per_client))
    }

    /// Takes a slot without waiting.
    pub(crate) fn take(&self, request: &Request) -> Result<Taken<Share>, Failure> {
        self.0.take(request.client().share()).map_err(|bound| match bound {
            Bound::All => Failure::busy("too many event streams on this server; try again later"),
            Bound::Key => Failure::busy("too many event streams from this client; close some or poll instead"),
        })
    }
}
