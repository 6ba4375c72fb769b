//! Renders files from songs: each file once at a time, in fair turns, with a timeout, and only while a client waits.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::FutureExt as _;

use super::ServiceError;
use super::cache::Pin;
use super::change_notifier::Changed;
use super::line::{Ticket, busy};
use super::renderings::RenderingCounts;
use super::songs::SongService;
use crate::account::Share;
use crate::causes::chain;
use crate::ports::{BlobKey, Space};
use crate::tally::{Bound, Taken};

/// The upper bound of the default cache size, which is 5 % of the disk if that is less.
const MAX_BYTES: u64 = 10 * 1024 * 1024 * 1024;

impl SongService {
    /// Returns the current rendering load.
    #[must_use]
    pub fn renderings(&self) -> RenderingCounts {
        let (running, waiting) = self.made().line.depth();
        RenderingCounts { running, waiting, bytes: self.made().cache.total_bytes() }
    }

    /// Removes the least recently used renditions and peaks beyond
    /// [`RenderingSettings::max_bytes`](super::RenderingSettings::max_bytes). Files in use stay.
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
    pub fn excess(&self) -> Changed {
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
