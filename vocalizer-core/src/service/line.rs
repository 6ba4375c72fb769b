//! A fair queue for rendering.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;

use super::ServiceError;
use crate::account::Share;

/// When to retry after [`ServiceError::Busy`].
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A bounded queue that is fair between clients: they take turns, however much each requests.
///
/// A [`Ticket`] is one piece of work. Several clients may wait for the same ticket; it starts at the first of their
/// turns.
#[derive(Clone)]
pub(super) struct Line(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

/// The limits of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Tickets that run concurrently.
    pub(super) at_once: usize,
    /// Running and waiting entries in total.
    pub(super) most: usize,
    /// The same per client.
    pub(super) most_per_client: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Tickets that have not started.
    uncalled: HashSet<u64>,
    /// Running tickets, each with the client whose turn it was.
    running: HashMap<u64, Share>,
    /// Each client's waiting entries, oldest first. No list is empty.
    waiting: HashMap<Share, VecDeque<Entry>>,
    /// Waiting clients in the order of their turns.
    turns: VecDeque<Share>,
}

struct Entry {
    id: u64,
    ticket: u64,
    called: Arc<Event>,
}

/// A piece of work. Dropping it ends the work or the wait for it.
pub(super) struct Ticket {
    line: Line,
    id: u64,
    called: Arc<Event>,
}

/// A client's wait for a ticket. Dropping it ends the wait.
pub(super) struct QueuedWait {
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

    /// Lets a client wait for a ticket, unless the work has started or ended.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Busy`] when the line is full.
    pub(super) fn enter(&self, share: Share, ticket: &TicketId) -> Result<Option<QueuedWait>, ServiceError> {
        let Bounds { most, most_per_client, .. } = self.0.bounds;
        let mut state = self.state();
        if !state.uncalled.contains(&ticket.id) {
            return Ok(None);
        }
        if state.entries_of(share) >= most_per_client {
            return Err(busy("you have too many renditions in progress"));
        }
        if state.running.len() + state.waiting.values().map(VecDeque::len).sum::<usize>() >= most {
            return Err(busy("too many renditions in progress"));
        }
        let id = state.number();
        let entry = Entry { id, ticket: ticket.id, called: Arc::clone(&ticket.called) };
        let waiting = state.waiting.entry(share).or_default();
        waiting.push_back(entry);
        if waiting.len() == 1 {
            state.turns.push_back(share);
        }
        state.advance(&self.0.bounds);
        Ok(Some(QueuedWait { line: self.clone(), share, id }))
    }

    /// Returns the number of running tickets and of waiting entries.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.state();
        (state.running.len(), state.waiting.values().map(VecDeque::len).sum())
    }
}

/// What clients need to wait for a ticket.
#[derive(Clone)]
pub(super) struct TicketId {
    pub(super) id: u64,
    called: Arc<Event>,
}

impl Ticket {
    pub(super) fn id(&self) -> TicketId {
        TicketId { id: self.id, called: Arc::clone(&self.called) }
    }

    /// Waits until the ticket starts.
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

impl Drop for QueuedWait {
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

    /// Returns how many entries of a client are running or waiting.
    fn entries_of(&self, share: Share) -> usize {
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

    /// Starts as many tickets as allowed. If there is more than one place, one client never has all of them.
    fn advance(&mut self, bounds: &Bounds) {
        let most_of_one = bounds.at_once.saturating_sub(1).max(1);
        while self.running.len() < bounds.at_once {
            let Some(at) = self.turns.iter().position(|&share| self.running_of(share) < most_of_one) else { return };
            let Some(share) = self.turns.remove(at) else { return };
            let Some(Entry { ticket, called, .. }) = self.waiting.get_mut(&share).and_then(VecDeque::pop_front) else {
                return;
            };
            // Its turn is over; its other entries come after those of the other clients.
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
