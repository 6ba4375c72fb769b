//! Renditions in progress: their settings, their queue and their cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};

use super::ServiceError;
use super::cache::{Cache, Pin};
use super::line::{Bounds, Line, QueuedWait, Ticket, TicketId};
use crate::account::Share;
use crate::ports::{BlobKey, Clock};
use crate::tally::Tally;

/// How other formats, mixes, peaks, analyses and covers are made, and how many are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderingSettings {
    /// Whether tempo and key of songs are found. Default: yes.
    pub analyses: bool,
    /// Files rendered concurrently. One client never takes all of these places, unless there is only one. Default: 2.
    pub at_once: usize,
    /// Files being rendered or waiting, and, counted separately, mixes being downloaded. Default: 64.
    pub most: usize,
    /// The same per user, or per address of anonymous clients. Default: 16.
    pub most_per_client: usize,
    /// Timeout for rendering one file. Default: 10 minutes.
    pub time_limit: Duration,
    /// Cache size of renditions and peaks in bytes, including those in use and mixes being downloaded. 0 keeps only
    /// those in use. Default (`None`): 10 GiB, or 5 % of the disk if that is less.
    pub max_bytes: Option<u64>,
}

impl Default for RenderingSettings {
    fn default() -> Self {
        let time_limit = Duration::from_secs(10 * 60);
        Self { analyses: true, at_once: 2, most: 64, most_per_client: 16, time_limit, max_bytes: None }
    }
}

/// The current rendering load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenderingCounts {
    /// Files being rendered.
    pub running: usize,
    /// Requests waiting for their turn.
    pub waiting: usize,
    /// Known bytes of cached files and of mixes being downloaded.
    pub bytes: u64,
}

/// Renditions in progress, waiting and cached.
pub(super) struct Renderings {
    pub(super) line: Line,
    pub(super) cache: Cache,
    flights: Arc<Mutex<HashMap<BlobKey, Flight>>>,
    /// Mixes being rendered or downloaded: they use space until they are sent.
    pub(super) mixes: Tally<Share>,
}

/// A rendition in progress, shared by all waiting clients. It is cancelled when the last of them leaves.
pub(super) type Making = Shared<BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>>;

struct Flight {
    ticket: TicketId,
    making: WeakShared<BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>>,
}

impl Renderings {
    pub(super) fn new(settings: &RenderingSettings, clock: &Arc<dyn Clock>) -> Self {
        let &RenderingSettings { at_once, most, most_per_client, .. } = settings;
        let line = Line::new(Bounds { at_once: at_once.max(1), most, most_per_client });
        let mixes = Tally::new(most, most_per_client);
        Self { line, cache: Cache::new(Arc::clone(clock)), flights: Arc::default(), mixes }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<BlobKey, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a rendition in progress, or starts one.
    pub(super) fn join(
        &self,
        share: Share,
        key: BlobKey,
        begin: impl FnOnce(Ticket) -> BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>,
    ) -> Result<(Making, Option<QueuedWait>), ServiceError> {
        let mut flights = self.flights();
        let joined = flights.get(&key).and_then(|flight| Some((flight.making.upgrade()?, flight.ticket.clone())));
        if let Some((making, ticket)) = joined {
            // If `enter` fails, dropping `making` may end the flight, which locks the table: unlock it first.
            drop(flights);
            let place = self.line.enter(share, &ticket)?;
            return Ok((making, place));
        }
        let ticket = self.line.ticket();
        let id = ticket.id();
        let place = self.line.enter(share, &id)?;
        let guard = FlightGuard { flights: Arc::clone(&self.flights), key, ticket: id.id };
        let work = begin(ticket);
        let making = async move {
            let _guard = guard;
            work.await
        };
        let making = making.boxed().shared();
        if let Some(weak) = making.downgrade() {
            flights.insert(key, Flight { ticket: id, making: weak });
        }
        Ok((making, place))
    }
}

/// Removes a flight from the table when it ends.
struct FlightGuard {
    flights: Arc<Mutex<HashMap<BlobKey, Flight>>>,
    key: BlobKey,
    ticket: u64,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(&self.key).is_some_and(|flight| flight.ticket.id == self.ticket) {
            flights.remove(&self.key);
        }
    }
}
