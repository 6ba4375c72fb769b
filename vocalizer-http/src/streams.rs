//! How many event streams may be open at once. They stay open for as long as a page does, so they must leave room for
//! everything else.

use vocalizer_core::account::Share;
use vocalizer_core::tally::{Bound, Taken, Tally};

use crate::failure::Failure;
use crate::request::Request;
use crate::settings::Caps;

/// Counts event streams, in all and by client.
pub(crate) struct EventStreams(Tally<Share>);

impl EventStreams {
    pub(crate) fn new(caps: &Caps) -> Self {
        Self(Tally::new(caps.event_streams, caps.event_streams_per_client))
    }

    /// Takes a place. It does not wait.
    pub(crate) fn take(&self, request: &Request) -> Result<Taken<Share>, Failure> {
        self.0.take(request.client().share()).map_err(|bound| match bound {
            Bound::All => Failure::busy("the server has too many event streams open"),
            Bound::Key => Failure::busy("this client has too many event streams open; close some, or poll instead"),
        })
    }
}
