//! Renders files from songs: each file once at a time, in fair turns, with a timeout, and only while a client waits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};

use super::ServiceError;
use super::cache::{Cache, Pin};
use super::line::{Bounds, Line, Place, Ticket, TicketId, busy};
use super::songs::SongService;
use crate::account::Share;
use crate::causes::chain;
use crate::ports::{BlobKey, Clock, Space};
use crate::tally::{Bound, Taken, Tally};

/// The upper bound of the default cache size, which is 5 % of the disk if that is less.
const MAX_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// How other formats, mixes and peaks are rendered, and how many are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderingSettings {
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
        Self { at_once: 2, most: 64, most_per_client: 16, time_limit: Duration::from_secs(10 * 60), max_bytes: None }
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
    line: Line,
    pub(super) cache: Cache,
    flights: Arc<Mutex<HashMap<BlobKey, Flight>>>,
    /// Mixes being rendered or downloaded: they use space until they are sent.
    mixes: Tally<Share>,
}

/// A rendition in progress, shared by all waiting clients. It is cancelled when the last of them leaves.
type Making = Shared<BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>>;

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
    fn join(
        &self,
        share: Share,
        key: BlobKey,
        begin: impl FnOnce(Ticket) -> BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>,
    ) -> Result<(Making, Option<Place>), ServiceError> {
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

impl SongService {
    /// Returns the current rendering load.
    #[must_use]
    pub fn renderings(&self) -> RenderingCounts {
        let (running, waiting) = self.made().line.depth();
        RenderingCounts { running, waiting, bytes: self.made().cache.total_bytes() }
    }

    /// Removes the least recently used renditions and peaks beyond [`RenderingSettings::max_bytes`]. Files in use stay.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]; the next call does the rest.
    pub async fn trim(&self) -> Result<(), ServiceError> {
        let blobs = &self.ports().blobs;
        let max_bytes = match self.settings().renderings.max_bytes {
            Some(max_bytes) => max_bytes,
            None => match blobs.space().await? {
                Some(Space { total_bytes, .. }) => MAX_BYTES.min(total_bytes / 20),
                None => MAX_BYTES,
            },
        };
        Ok(self.made().cache.trim(blobs.as_ref(), max_bytes).await?)
    }

    pub(super) async fn trim_or_warn(&self) {
        if let Err(error) = self.trim().await {
            tracing::warn!(error = chain(&error), "removing renditions failed");
        }
    }

    /// Completes when [`Self::trim`] has something to remove that was in use before.
    #[must_use]
    pub fn excess(&self) -> event_listener::EventListener {
        self.made().cache.excess()
    }

    /// Renders and caches a rendition or peaks in turn. Concurrent requests for the same file share one rendering,
    /// which is cancelled when the last of them leaves.
    pub(super) async fn make<W>(
        &self,
        share: Share,
        key: BlobKey,
        work: impl FnOnce(Self) -> W + Send + 'static,
    ) -> Result<Arc<Pin>, ServiceError>
    where
        W: Future<Output = Result<(), ServiceError>> + Send + 'static,
    {
        self.check_room().await?;
        let service = self.clone();
        let begin = move |ticket: Ticket| {
            async move {
                ticket.called().await;
                let pin = service.made().cache.pin(key).await;
                let worked = service.with_timeout(work(service.clone())).await;
                drop(ticket);
                worked.map_err(Arc::new)?;
                service.trim_or_warn().await;
                Ok::<_, Arc<ServiceError>>(Arc::new(pin))
            }
            .boxed()
        };
        let (making, _place) = self.made().join(share, key, begin)?;
        making.await.map_err(|error| error.duplicate())
    }

    /// Renders something in turn that is not cached. The client's place is freed when rendering ends.
    pub(super) async fn make_once<T>(
        &self,
        share: Share,
        work: impl Future<Output = Result<T, ServiceError>> + Send,
    ) -> Result<T, ServiceError> {
        self.check_room().await?;
        let line = &self.made().line;
        let ticket = line.ticket();
        let _place = line.enter(share, &ticket.id())?;
        ticket.called().await;
        self.with_timeout(work).await
    }

    /// Counts a mix towards the limits on mixes in progress.
    pub(super) fn hold_mix(&self, share: Share) -> Result<Taken<Share>, ServiceError> {
        self.made().mixes.take(share).map_err(|bound| match bound {
            Bound::Key => busy("you have too many mixes in progress"),
            Bound::All => busy("too many mixes in progress"),
        })
    }

    async fn with_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, ServiceError>> + Send,
    ) -> Result<T, ServiceError> {
        let limit = self.settings().renderings.time_limit;
        self.ports().clock.within(limit, work).await.unwrap_or_else(|| {
            tracing::warn!(?limit, "rendering timed out");
            let what = format!("rendering timed out after {limit:?}");
            Err(ServiceError::Busy { what, retry_after: limit })
        })
    }
}
