//! Songs and jobs across all users.

use std::collections::BTreeSet;

use super::{AdminService, AdminStores};
use crate::dedupe::{BlobFate, on_delete};
use crate::ports::{Action, SongRecord, SongSearch};
use crate::service::ServiceError;
use crate::service::keys::keys_of;
use crate::service::trash::stored;
use crate::song::{Song, SongId, StatusKind};

/// What became of a deleted song's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Deleted.
    Deleted,
    /// Kept for other songs with the same hash.
    Shared,
    /// The running server deletes them at its next sweep.
    Left,
}

impl AdminService {
    /// Returns songs of all users, newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn songs(&self, search: &SongSearch) -> Result<Vec<SongRecord>, ServiceError> {
        Ok(self.stores.administration.songs(search).await?)
    }

    /// Deletes a song for good, also from the trash, and its files if no other song has its hash.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn delete_song(&self, id: SongId) -> Result<Files, ServiceError> {
        let AdminStores { songs, coordination, administration, has_locks, .. } = &self.stores;
        let song = stored(songs.as_ref(), id).await?.ok_or(ServiceError::NO_SONG)?;
        let hash = *song.hash();
        // Without the servers' locks, the lock of this process does no harm.
        let _lock = coordination.lock(&hash).await?;
        if let Some(server) = &self.server {
            let is_shared = songs.with_hash(&hash).await?.len() > 1;
            if !server.remove_locked(id).await? {
                return Err(ServiceError::NO_SONG);
            }
            self.audit_deleted(&song).await?;
            return Ok(if is_shared { Files::Shared } else { Files::Deleted });
        }
        let keys = keys_of(songs.as_ref(), &song).await?;
        let removed = songs.remove(id).await?.ok_or(ServiceError::NO_SONG)?;
        self.audit_deleted(&removed.song).await?;
        match on_delete(removed.others_with_hash) {
            BlobFate::Keep => Ok(Files::Shared),
            BlobFate::Delete if *has_locks => {
                for key in &keys {
                    coordination.record_deletion(key, self.now()).await?;
                    if coordination.renew(&hash).await? {
                        self.blobs()?.delete_all(key).await?;
                    }
                }
                Ok(Files::Deleted)
            }
            BlobFate::Delete => {
                for key in &keys {
                    administration.request_erasure(key, self.now()).await?;
                }
                Ok(Files::Left)
            }
        }
    }

    /// Requests a song's job again: retries a failed song, or repeats the request for one that waits. A server publishes it
    /// within seconds.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Conflict`] for a song in another state, and those of every method.
    pub async fn requeue(&self, id: SongId) -> Result<Song, ServiceError> {
        let AdminStores { songs, coordination, .. } = &self.stores;
        let hash = *songs.find(id).await?.ok_or(ServiceError::NO_SONG)?.hash();
        // A concurrent cancellation must not withdraw the new job.
        let lock = coordination.lock(&hash).await?;
        let song = songs.find(id).await?.ok_or(ServiceError::NO_SONG)?;
        let conflict = |message| Err(ServiceError::Conflict { message, field: None });
        let song = match song.status().kind() {
            StatusKind::Failed => songs.retry(id).await?.ok_or(ServiceError::NO_SONG)?,
            StatusKind::Uploaded => {
                songs.request(&song.target().key).await?;
                song
            }
            StatusKind::Splitting => {
                return conflict("the song is being split; if its worker is gone, a sweep returns it to the queue");
            }
            StatusKind::Split => return conflict("the song is split already"),
            StatusKind::Uploading => return conflict("the song is still being uploaded"),
        };
        drop(lock);
        if let Some(server) = &self.server {
            server.changes().announce(&song.target().key);
            server.changes().announce_entry();
        }
        self.audit(Action::SongRequeued, Some(id.to_string()), None).await?;
        Ok(song)
    }

    async fn audit_deleted(&self, song: &Song) -> Result<(), ServiceError> {
        let owner = song.uploader().map_or("no user".to_owned(), |owner| format!("user {owner}"));
        let details = format!("{} of {owner}", song.hash());
        self.audit(Action::SongDeleted, Some(song.id().to_string()), Some(details)).await
    }

    /// Returns the songs that wait or are being split, at most `limit` of each.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn jobs(&self, limit: u32) -> Result<Vec<SongRecord>, ServiceError> {
        let mut jobs = Vec::new();
        for status in [StatusKind::Splitting, StatusKind::Uploaded] {
            let search = SongSearch { status: Some(status), limit, ..SongSearch::default() };
            let mut found = self.stores.administration.songs(&search).await?;
            // The oldest first, as a queue.
            found.reverse();
            jobs.append(&mut found);
        }
        Ok(jobs)
    }

    /// Holds new jobs back in the outbox, or releases them. Jobs on the queue continue.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn hold_jobs(&self, held: bool) -> Result<(), ServiceError> {
        self.stores.administration.hold(held, self.now()).await?;
        if let Some(server) = self.server.as_ref().filter(|_| !held) {
            server.changes().announce_entry();
        }
        self.audit(if held { Action::JobsHeld } else { Action::JobsReleased }, None, None).await
    }

    /// Returns whether jobs are held back.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn is_holding(&self) -> Result<bool, ServiceError> {
        Ok(self.stores.songs.is_holding().await?)
    }

    /// Returns how many hashes are being split or have a job on the queue.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn unfinished(&self) -> Result<u64, ServiceError> {
        let songs = &self.stores.songs;
        let pending: BTreeSet<_> = songs.pending(u32::MAX).await?.into_iter().map(|entry| entry.hash).collect();
        let mut unfinished: BTreeSet<_> = songs.hashes_in(StatusKind::Uploaded).await?.into_iter().collect();
        unfinished.retain(|hash| !pending.contains(hash));
        unfinished.extend(songs.hashes_in(StatusKind::Splitting).await?);
        Ok(unfinished.len() as u64)
    }
}
