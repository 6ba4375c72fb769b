//! Notifies waiting tasks of changes.

use event_listener::{Event, EventListener};

use crate::song::SongHash;

/// Listeners share this many events. One that is woken by another song's change checks and waits again.
const EVENTS: usize = 64;

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
    pub(super) fn listen(&self, hash: &SongHash) -> EventListener {
        self.event(hash).listen()
    }

    /// Listens for changes of any song.
    pub(super) fn listen_for_any(&self) -> EventListener {
        self.any.listen()
    }

    /// Reports a change of the songs with this hash.
    pub(super) fn announce(&self, hash: &SongHash) {
        self.event(hash).notify(usize::MAX);
        self.any.notify(usize::MAX);
    }

    /// Listens for new outbox entries.
    pub(super) fn listen_for_entries(&self) -> EventListener {
        self.new_entry.listen()
    }

    /// Reports a new outbox entry.
    pub(super) fn announce_entry(&self) {
        self.new_entry.notify(usize::MAX);
    }
}
