//! How many event streams may be open at once. They stay open for as long as a page does, so they must leave room for
//! everything else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vocalizer_core::account::{UserId, household};

use crate::failure::Failure;
use crate::request::Request;
use crate::settings::Caps;

/// Counts event streams, in all and by client.
pub(crate) struct EventStreams {
    most: usize,
    most_per_client: usize,
    open: Open,
}

type Open = Arc<Mutex<HashMap<Client, usize>>>;

/// A user, from wherever they come, or an address that nobody has logged in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    User(UserId),
    Address(IpAddr),
}

/// An event stream that may be open. Dropping it makes room for another one.
pub(crate) struct EventStream {
    client: Client,
    open: Open,
}

impl EventStreams {
    pub(crate) fn new(caps: &Caps) -> Self {
        Self { most: caps.event_streams, most_per_client: caps.event_streams_per_client, open: Open::default() }
    }

    /// Takes a place. It does not wait.
    pub(crate) fn take(&self, request: &Request) -> Result<EventStream, Failure> {
        let client = match request.viewer().user() {
            Some(user) => Client::User(user),
            None => Client::Address(household(request.peer.address)),
        };
        let mut open = lock(&self.open);
        if open.values().sum::<usize>() >= self.most {
            return Err(Failure::busy("the server has too many event streams open"));
        }
        let count = open.entry(client).or_default();
        if *count >= self.most_per_client {
            return Err(Failure::busy("this client has too many event streams open; close some, or poll instead"));
        }
        *count += 1;
        Ok(EventStream { client, open: Arc::clone(&self.open) })
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

fn lock(open: &Open) -> MutexGuard<'_, HashMap<Client, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
