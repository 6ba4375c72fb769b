//! How far the work on each hash is, and who wants to hear of it. Kept in memory: it is worth nothing after a restart.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use event_listener::{Event, EventListener};

use crate::song::SongHash;

/// How many deleted hashes are remembered, so that a worker that comes late hears that its song is gone.
const MOST_GONE: usize = 10_000;

/// Listeners are spread over so many events; one that is woken for another's sake looks and goes back to sleep.
const EVENTS: usize = 64;

pub(super) struct Board {
    state: Mutex<State>,
    events: Vec<Event>,
}

#[derive(Default)]
struct State {
    percent: HashMap<SongHash, u8>,
    gone: HashSet<SongHash>,
    gone_in_order: VecDeque<SongHash>,
}

impl Board {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), events: (0..EVENTS).map(|_| Event::new()).collect() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, hash: &SongHash) -> &Event {
        &self.events[usize::from(hash.as_bytes()[0]) % EVENTS]
    }

    /// Hears of every change from now on.
    pub(super) fn listen(&self, hash: &SongHash) -> EventListener {
        self.event(hash).listen()
    }

    /// Something about the songs with this hash has changed.
    pub(super) fn announce(&self, hash: &SongHash) {
        self.event(hash).notify(usize::MAX);
    }

    pub(super) fn percent(&self, hash: &SongHash) -> u8 {
        self.state().percent.get(hash).copied().unwrap_or(0)
    }

    /// Work begins, or is further. Percent never fall within one attempt.
    pub(super) fn at(&self, hash: &SongHash, percent: u8) {
        let changed = self.state().percent.insert(*hash, percent.min(100)) != Some(percent);
        if changed {
            self.announce(hash);
        }
    }

    /// Nobody works on it any more.
    pub(super) fn rest(&self, hash: &SongHash) {
        self.state().percent.remove(hash);
        self.announce(hash);
    }

    pub(super) fn gone(&self, hash: &SongHash) {
        {
            let mut state = self.state();
            state.percent.remove(hash);
            if state.gone.insert(*hash) {
                state.gone_in_order.push_back(*hash);
            }
            if state.gone_in_order.len() > MOST_GONE
                && let Some(oldest) = state.gone_in_order.pop_front()
            {
                state.gone.remove(&oldest);
            }
        }
        self.announce(hash);
    }

    pub(super) fn was_there(&self, hash: &SongHash) -> bool {
        self.state().gone.contains(hash)
    }
}
