//! Notifies waiting tasks of changes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use event_listener::{Event, EventListener};

use crate::song::SongHash;

/// Listeners share this many events. One that is woken by another song's change checks and waits again.
const EVENTS: usize = 64;

/// Completes at the next change after it was made. See [`SongService::watch`](super::SongService::watch).
#[derive(Debug)]
#[must_use]
pub struct Changed(pub(super) EventListener);

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Wakes this process's watchers of songs. Watchers on other servers poll.
pub(super) struct ChangeNotifier {
    events: Vec<Event>,
    any: Event,
    new_entry: Event,
}

impl ChangeNotifier {
    pub(super) fn new() -> Self {
        Self { events: (0..EVENTS).map(|_| Event::new()).collect(), any: Event::new(), new_entry: Event::new() }
    }

    fn event(&self, hash: &SongHash) -> &Event {
        &self.events[usize::from(hash.as_bytes()[0]) % EVENTS]
    }

    /// Listens for changes of a song.
    pub(super) fn listen(&self, hash: &SongHash) -> Changed {
        Changed(self.event(hash).listen())
    }

    /// Listens for changes of any song.
    pub(super) fn listen_for_any(&self) -> Changed {
        Changed(self.any.listen())
    }

    /// Reports a change of the songs with this hash.
    pub(super) fn announce(&self, hash: &SongHash) {
        self.event(hash).notify(usize::MAX);
        self.any.notify(usize::MAX);
    }

    /// Listens for new outbox entries.
    pub(super) fn listen_for_entries(&self) -> Changed {
        Changed(self.new_entry.listen())
    }

    /// Reports a new outbox entry.
    pub(super) fn announce_entry(&self) {
        self.new_entry.notify(usize::MAX);
    }
}
