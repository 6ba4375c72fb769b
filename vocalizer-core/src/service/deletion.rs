//! Deleting a song: into the trash, or for good, and with the last one of a hash all that is stored for it.

use super::ServiceError;
use super::keys::keys_of;
use super::songs::SongService;
use super::trash::stored;
use crate::account::Viewer;
use crate::causes::chain;
use crate::dedupe::{BlobFate, on_delete};
use crate::song::{SongHash, SongId};

impl SongService {
    /// Deletes a song. It goes to the [trash](Self::trash) if [`SongSettings::trash`] is set and the disk has room; for
    /// everyone it is gone. Otherwise it is deleted for good. Deleting the last song with a hash for good also deletes its
    /// file and stems. Its job is cancelled in either case.
    ///
    /// [`SongSettings::trash`]: super::SongSettings::trash
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// service.delete(Viewer::Anonymous, song.id).await?;
    /// let repeated = service.delete(Viewer::Anonymous, song.id).await;
    /// assert!(matches!(repeated, Err(ServiceError::NotFound { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a song that was just deleted; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn delete(&self, viewer: Viewer, id: SongId) -> Result<(), ServiceError> {
        let song = self.changeable(viewer, id).await?;
        let hash = *song.hash();
        let _lock = self.ports().coordination.lock(&hash).await?;
        let keeps = self.settings().trash.is_some() && !self.is_short_of_room().await;
        let existed = if keeps { self.trash_locked(id).await? } else { self.remove_locked(id).await? };
        if existed { Ok(()) } else { Err(ServiceError::NO_SONG) }
    }

    /// Removes a song whose hash is locked, also from the trash. Returns whether it existed.
    pub(super) async fn remove_locked(&self, id: SongId) -> Result<bool, ServiceError> {
        let songs = &self.ports().songs;
        let Some(song) = stored(songs.as_ref(), id).await? else { return Ok(false) };
        let hash = *song.hash();
        let keys = keys_of(songs.as_ref(), &song).await?;
        let Some(removed) = songs.remove(id).await? else { return Ok(false) };
        tracing::info!(song = %id, %hash, others = removed.others_with_hash, "song deleted for good");
        match on_delete(removed.others_with_hash) {
            BlobFate::Keep => {
                self.withdraw_unless_wanted(&removed.song.target().key).await?;
                self.changes().announce(&removed.song.target().key);
            }
            BlobFate::Delete => {
                for key in &keys {
                    self.record_deletion(key).await;
                    self.changes().announce(key);
                }
                for key in &keys {
                    self.withdraw(key).await;
                }
                // The song is deleted anyway. The sweep removes leftover bytes.
                if let Err(error) = self.delete_bytes(&hash, &keys).await {
                    tracing::warn!(%hash, error = chain(&error), "deleting a song's files failed; a sweep will retry");
                }
                keys.iter().for_each(|key| self.made().cache.forget(key));
            }
        }
        Ok(true)
    }

    /// Records that a key has no song any more, for workers that are late.
    pub(super) async fn record_deletion(&self, key: &SongHash) {
        // The song is deleted anyway. A late worker gets "not found" instead of "gone".
        if let Err(error) = self.ports().coordination.record_deletion(key, self.ports().clock.now()).await {
            tracing::warn!(%key, error = chain(&error), "recording the deleted hash failed");
        }
    }

    /// Deletes everything stored under the keys of a hash, unless the lock was lost: another request may be storing these
    /// bytes.
    pub(super) async fn delete_bytes(&self, hash: &SongHash, keys: &[SongHash]) -> Result<(), ServiceError> {
        for key in keys {
            if self.ports().coordination.renew(hash).await? {
                self.ports().blobs.delete_all(key).await?;
            }
        }
        Ok(())
    }
}
