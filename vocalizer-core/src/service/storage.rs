//! Files without a song: finding and removing them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::ServiceError;
use super::songs::SongPorts;
use crate::causes::chain;
use crate::ports::{BlobStore, Clock, Coordination, PartialUpload, SongRepository};
use crate::song::SongHash;

/// This many orphans are always removed; more only if they are not most of the stored blobs.
const MOST_ORPHANS: usize = 10;

/// The stores of songs and blobs.
pub(super) struct Storage {
    pub(super) songs: Arc<dyn SongRepository>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) coordination: Arc<dyn Coordination>,
    pub(super) clock: Arc<dyn Clock>,
    /// Bytes without a song are kept for this long.
    pub(super) keep_orphans: Duration,
}

/// Hashes that have bytes and no song.
pub(super) struct Orphans {
    pub(super) hashes: Vec<SongHash>,
    /// The number of stored hashes.
    pub(super) stored: usize,
    /// Only bytes from before this time may be removed.
    pub(super) before: OffsetDateTime,
}

impl Orphans {
    /// Returns whether this looks like the wrong database, or an outdated one: a crash leaves only a few orphans.
    pub(super) fn is_suspicious(&self) -> bool {
        self.hashes.len() > MOST_ORPHANS && self.hashes.len() * 2 > self.stored
    }
}

impl Storage {
    pub(super) fn of(ports: &SongPorts, keep_orphans: Duration) -> Self {
        let SongPorts { songs, blobs, coordination, clock, .. } = ports;
        let (songs, blobs) = (Arc::clone(songs), Arc::clone(blobs));
        Self { songs, blobs, coordination: Arc::clone(coordination), clock: Arc::clone(clock), keep_orphans }
    }

    /// Finds bytes that have no song.
    ///
    /// The database may be older than the bytes: a restored backup, or one that lost its last changes. So bytes stay
    /// that are younger than its newest song or than [`SongSettings::keep_orphans`](super::SongSettings::keep_orphans).
    pub(super) async fn orphans(&self) -> Result<Orphans, ServiceError> {
        let now = self.clock.now();
        let Some(newest) = self.songs.newest_upload().await? else {
            return Ok(Orphans { hashes: Vec::new(), stored: 0, before: now });
        };
        let stored = self.blobs.hashes().await?;
        let mut known: HashSet<_> = self.songs.known_keys().await?.into_iter().collect();
        known.extend(self.songs.uploads().await?.into_iter().map(PartialUpload::hash_of));
        let count = stored.len();
        let hashes = stored.into_iter().filter(|hash| !known.contains(hash)).collect();
        Ok(Orphans { hashes, stored: count, before: newest.min(now - self.keep_orphans) })
    }

    /// Returns whether a song or a stored result has this hash or key.
    pub(super) async fn is_known(&self, key: &SongHash) -> Result<bool, ServiceError> {
        Ok(self.songs.known_keys().await?.contains(key))
    }

    /// Returns whether the bytes of a hash are old enough to be removed.
    pub(super) async fn is_old(&self, hash: &SongHash, before: OffsetDateTime) -> Result<bool, ServiceError> {
        Ok(self.blobs.last_written(hash).await?.is_some_and(|written| written < before))
    }

    /// Removes the bytes of a hash if they are old and still have no song, and returns whether it did.
    pub(super) async fn remove(&self, hash: &SongHash, before: OffsetDateTime) -> Result<bool, ServiceError> {
        let _lock = self.coordination.lock(hash).await?;
        // Check the lock last: if it was lost, another request may be storing these bytes.
        if !(self.is_old(hash, before).await? && !self.is_known(hash).await? && self.coordination.renew(hash).await?) {
            return Ok(false);
        }
        match self.blobs.delete_all(hash).await {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::warn!(%hash, error = chain(&error), "removing an orphan failed");
                Ok(false)
            }
        }
    }
}
