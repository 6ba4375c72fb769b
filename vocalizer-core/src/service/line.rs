//! Who may make a file now, and who waits for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;

use super::ServiceError;
use crate::account::Share;

/// When to come back after [`ServiceError::Busy`].
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A bounded queue that is fair between clients: they take turns, however much each of them asks for.
///
/// A [`Ticket`] stands for one piece of work. Several clients may wait for the same piece; it begins when the first of
/// them is due.
#[derive(Clone)]
pub(super) struct Line(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

/// How much a line admits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Pieces of work at once.
    pub(super) at_once: usize,
    /// Entries that are worked on or wait, in all.
    pub(super) most: usize,
    /// The same, of one client.
    pub(super) most_per_client: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    /// The tickets whose turn has not come.
    uncalled: HashSet<u64>,
    /// The tickets that are worked on, each with the client whose turn it was.
    running: HashMap<u64, Share>,
    /// What each client waits for, oldest first. None of these is empty.
    waiting: HashMap<Share, VecDeque<Entry>>,
    /// The clients that wait, in the order of their turns.
    turns: VecDeque<Share>,
}

struct Entry {
    id: u64,
    ticket: u64,
    called: Arc<Event>,
}

/// A piece of work. Dropping it ends the work, or the wait for it.
pub(super) struct Ticket {
    line: Line,
    id: u64,
    called: Arc<Event>,
}

/// A client's wait for a piece of work. Dropping it gives the wait up.
pub(super) struct Place {
    line: Line,
    share: Share,
    id: u64,
}

impl Line {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared { bounds, state: Mutex::default() }))
    }

    pub(super) fn ticket(&self) -> Ticket {
        let mut state = self.state();
        let id = state.number();
        state.uncalled.insert(id);
        Ticket { line: self.clone(), id, called: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a client wait for a piece of work, unless that has begun or ended.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Busy`] when too much waits already.
    pub(super) fn enter(&self, share: Share, ticket: &TicketId) -> Result<Option<Place>, ServiceError> {
        let Bounds { most, most_per_client, .. } = self.0.bounds;
        let mut state = self.state();
        if !state.uncalled.contains(&ticket.id) {
            return Ok(None);
        }
        if state.of(share) >= most_per_client {
            return Err(busy("you have too many files being made"));
        }
        if state.running.len() + state.waiting.values().map(VecDeque::len).sum::<usize>() >= most {
            return Err(busy("too many files are being made"));
        }
        let id = state.number();
        let entry = Entry { id, ticket: ticket.id, called: Arc::clone(&ticket.called) };
        let waiting = state.waiting.entry(share).or_default();
        waiting.push_back(entry);
        if waiting.len() == 1 {
            state.turns.push_back(share);
        }
        state.advance(&self.0.bounds);
        Ok(Some(Place { line: self.clone(), share, id }))
    }

    /// How many pieces of work are under way, and how many entries wait.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.state();
        (state.running.len(), state.waiting.values().map(VecDeque::len).sum())
    }
}

/// What others need to wait for a ticket.
#[derive(Clone)]
pub(super) struct TicketId {
    pub(super) id: u64,
    called: Arc<Event>,
}

impl Ticket {
    pub(super) fn id(&self) -> TicketId {
        TicketId { id: self.id, called: Arc::clone(&self.called) }
    }

    /// Waits until it is one of its clients' turn.
    pub(super) async fn called(&self) {
        loop {
            let called = self.called.listen();
            if self.line.state().running.contains_key(&self.id) {
                return;
            }
            called.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.uncalled.remove(&self.id);
        state.running.remove(&self.id);
        state.forget(|entry| entry.ticket == self.id);
        state.advance(&self.line.0.bounds);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.line.state();
        if let Some(waiting) = state.waiting.get_mut(&self.share) {
            waiting.retain(|entry| entry.id != self.id);
        }
        state.tidy();
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// How much a client has under way or waits for.
    fn of(&self, share: Share) -> usize {
        self.running_of(share) + self.waiting.get(&share).map_or(0, VecDeque::len)
    }

    fn running_of(&self, share: Share) -> usize {
        self.running.values().filter(|&&running| running == share).count()
    }

    fn forget(&mut self, gone: impl Fn(&Entry) -> bool) {
        self.waiting.values_mut().for_each(|waiting| waiting.retain(|entry| !gone(entry)));
        self.tidy();
    }

    fn tidy(&mut self) {
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        self.turns.retain(|share| self.waiting.contains_key(share));
    }

    /// Begins as much as may be under way. Of several places one client never has all.
    fn advance(&mut self, bounds: &Bounds) {
        let most_of_one = bounds.at_once.saturating_sub(1).max(1);
        while self.running.len() < bounds.at_once {
            let Some(at) = self.turns.iter().position(|&share| self.running_of(share) < most_of_one) else { return };
            let Some(share) = self.turns.remove(at) else { return };
            let Some(Entry { ticket, called, .. }) = self.waiting.get_mut(&share).and_then(VecDeque::pop_front) else {
                return;
            };
            // Its turn is over; what else it waits for comes after the others.
            self.turns.push_back(share);
            self.uncalled.remove(&ticket);
            self.running.insert(ticket, share);
            self.forget(|entry| entry.ticket == ticket);
            called.notify(usize::MAX);
        }
    }
}

pub(super) fn busy(what: &'static str) -> ServiceError {
    ServiceError::Busy { what: format!("{what}; try again later"), retry_after: RETRY_AFTER }
}
