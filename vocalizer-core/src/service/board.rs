//! Who wants to hear of changes.

use event_listener::{Event, EventListener};

use crate::song::SongHash;

/// Listeners are spread over so many events; one that is woken for another's sake looks and goes back to sleep.
const EVENTS: usize = 64;

/// Wakes those of this process that watch a song. Those at other servers look by themselves now and then.
pub(super) struct Board {
    events: Vec<Event>,
    any: Event,
    wished: Event,
}

impl Board {
    pub(super) fn new() -> Self {
        Self { events: (0..EVENTS).map(|_| Event::new()).collect(), any: Event::new(), wished: Event::new() }
    }

    fn event(&self, hash: &SongHash) -> &Event {
        &self.events[usize::from(hash.as_bytes()[0]) % EVENTS]
    }

    /// Hears of every change from now on.
    pub(super) fn listen(&self, hash: &SongHash) -> EventListener {
        self.event(hash).listen()
    }

    /// Hears of every change of any song from now on.
    pub(super) fn listen_for_any(&self) -> EventListener {
        self.any.listen()
    }

    /// Something about the songs with this hash has changed.
    pub(super) fn announce(&self, hash: &SongHash) {
        self.event(hash).notify(usize::MAX);
        self.any.notify(usize::MAX);
    }

    /// Hears of wishes that come into the outbox from now on.
    pub(super) fn listen_for_wishes(&self) -> EventListener {
        self.wished.listen()
    }

    /// There is something in the outbox.
    pub(super) fn announce_wish(&self) {
        self.wished.notify(usize::MAX);
    }
}
