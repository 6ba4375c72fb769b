//! Files that are made of songs: one at a time of each, in turn, within a time, and only while somebody waits.

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

/// The bound on what is kept, where 5 % of the disk are more.
const MAX_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// How other formats, mixes and peaks are made, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderingSettings {
    /// Files that are made at once. One client has all of these places only where there is one. Default: 2.
    pub at_once: usize,
    /// Files that are made or wait to be made, and beside them mixes that are being downloaded. Default: 64.
    pub most: usize,
    /// The same for one user, or for one address of anonymous clients. Default: 16.
    pub most_per_client: usize,
    /// How long making one file may take. Default: 10 minutes.
    pub time_limit: Duration,
    /// How many bytes of renditions and peaks are kept, those in use and mixes that are being downloaded included; 0 keeps
    /// none that is not in use. Default (`None`): 10 GiB, or 5 % of the disk where that is less.
    pub max_bytes: Option<u64>,
}

impl Default for RenderingSettings {
    fn default() -> Self {
        Self { at_once: 2, most: 64, most_per_client: 16, time_limit: Duration::from_secs(10 * 60), max_bytes: None }
    }
}

/// How much is being made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenderingCounts {
    /// Files that are being made.
    pub running: usize,
    /// Requests for files that wait for their turn.
    pub waiting: usize,
    /// The bytes of what is kept and of mixes that are being downloaded, as far as they are known.
    pub bytes: u64,
}

/// What is being made, what waits and what is kept.
pub(super) struct Renderings {
    line: Line,
    pub(super) cache: Cache,
    flights: Arc<Mutex<HashMap<BlobKey, Flight>>>,
    /// Mixes that are made or being downloaded: they take room until they have been sent.
    mixes: Tally<Share>,
}

/// A rendition in the making, shared by all who wait for it. It ends when the last of them leaves.
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

    /// Joins those who wait for a rendition, or begins to have it made.
    fn join(
        &self,
        share: Share,
        key: BlobKey,
        begin: impl FnOnce(Ticket) -> BoxFuture<'static, Result<Arc<Pin>, Arc<ServiceError>>>,
    ) -> Result<(Making, Option<Place>), ServiceError> {
        let mut flights = self.flights();
        let joined = flights.get(&key).and_then(|flight| Some((flight.making.upgrade()?, flight.ticket.clone())));
        if let Some((making, ticket)) = joined {
            // Where it is refused, the flight may end with this: not while its table is locked.
            drop(flights);
            let place = self.line.enter(share, &ticket)?;
            return Ok((making, place));
        }
        let ticket = self.line.ticket();
        let id = ticket.id();
        let place = self.line.enter(share, &id)?;
        let landing = Landing { flights: Arc::clone(&self.flights), key, ticket: id.id };
        let work = begin(ticket);
        let making = async move {
            let _landing = landing;
            work.await
        };
        let making = making.boxed().shared();
        if let Some(weak) = making.downgrade() {
            flights.insert(key, Flight { ticket: id, making: weak });
        }
        Ok((making, place))
    }
}

/// Takes a flight off the table when it ends.
struct Landing {
    flights: Arc<Mutex<HashMap<BlobKey, Flight>>>,
    key: BlobKey,
    ticket: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(&self.key).is_some_and(|flight| flight.ticket.id == self.ticket) {
            flights.remove(&self.key);
        }
    }
}

impl SongService {
    /// How much is being made.
    #[must_use]
    pub fn renderings(&self) -> RenderingCounts {
        let (running, waiting) = self.made().line.depth();
        RenderingCounts { running, waiting, bytes: self.made().cache.total_bytes() }
    }

    /// Removes renditions and peaks beyond [`RenderingSettings::max_bytes`], those first that were used longest ago. None is
    /// removed that is in use.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]; what is left is for the next time.
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
            tracing::warn!(error = chain(&error), "renditions could not be removed");
        }
    }

    /// Ends when there is something for [`Self::trim`] that could not be removed while it was in use.
    #[must_use]
    pub fn excess(&self) -> event_listener::EventListener {
        self.made().cache.excess()
    }

    /// Has a rendition or peaks made and kept, in turn. Of those who ask at the same time for the same, all wait for one
    /// making; it ends when the last of them leaves.
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
                let worked = service.in_time(work(service.clone())).await;
                drop(ticket);
                worked.map_err(Arc::new)?;
                service.trim_or_warn().await;
                Ok::<_, Arc<ServiceError>>(Arc::new(pin))
            }
            .boxed()
        };
        let (making, _place) = self.made().join(share, key, begin)?;
        making.await.map_err(|error| error.again())
    }

    /// Has something made that is not kept, in turn. The place of the client ends with the making.
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
        self.in_time(work).await
    }

    /// Counts a mix towards those that may be made and downloaded at once.
    pub(super) fn hold_mix(&self, share: Share) -> Result<Taken<Share>, ServiceError> {
        self.made().mixes.take(share).map_err(|bound| match bound {
            Bound::Key => busy("you have too many mixes being made or downloaded"),
            Bound::All => busy("too many mixes are being made or downloaded"),
        })
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, ServiceError>> + Send) -> Result<T, ServiceError> {
        let limit = self.settings().renderings.time_limit;
        self.ports().clock.within(limit, work).await.unwrap_or_else(|| {
            tracing::warn!(?limit, "a file took too long to make");
            let what = format!("making this file took longer than the {limit:?} that are allowed");
            Err(ServiceError::Busy { what, retry_after: limit })
        })
    }
}
