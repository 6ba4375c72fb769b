//! The trash: listing and restoring deleted songs, and deleting them for good.

use std::time::Duration;

use time::{OffsetDateTime, PrimitiveDateTime};
use vocalizer_api::TrashedSongView;

use super::ServiceError;
use super::song_settings::Retention;
use super::songs::{MAX_PAGE, SongService};
use super::sweep::Swept;
use crate::account::Viewer;
use crate::api::SongView;
use crate::causes::chain;
use crate::ports::{Charge, RepositoryError, SongRepository, TrashFilter, Trashed, TrashedSong};
use crate::song::{Song, SongId};
use crate::wire::{rfc3339, with_details};

/// Songs per query of the sweep.
const BATCH: u32 = 100;

/// Most songs that an upload removes from a full trash. A sweep or the next upload continues.
const MOST_SHRUNK: u32 = 100;

/// Which page of the trash to return.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrashListing {
    /// Only songs after this position: [`TrashPage::next`] of the page before.
    pub after: Option<(i64, SongId)>,
    /// The page size, at most [`MAX_PAGE`]. Default (`None`): [`MAX_PAGE`].
    pub limit: Option<u32>,
}

/// A page of the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashPage {
    /// The songs.
    pub songs: Vec<TrashedSongView>,
    /// The position of the next page, if there is one.
    pub next: Option<(i64, SongId)>,
}

impl SongService {
    /// Returns a page of the viewer's deleted songs that can be restored, those first that were deleted last. Deleted
    /// anonymous songs can be restored by everyone, as everyone may delete them.
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
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// let settings = SongSettings { trash: Some(Duration::from_secs(7 * 86_400)), ..SongSettings::default() };
    /// let service = builder.with_settings(settings).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// service.delete(Viewer::Anonymous, song.id).await?;
    /// let page = service.trash(Viewer::Anonymous, TrashListing::default()).await?;
    /// assert_eq!(page.songs[0].song.title, "Clair de lune");
    ///
    /// service.restore(Viewer::Anonymous, song.id).await?;
    /// assert!(service.song(Viewer::Anonymous, song.id).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn trash(&self, viewer: Viewer, listing: TrashListing) -> Result<TrashPage, ServiceError> {
        let limit = listing.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        // One more than requested, to learn whether there is a next page.
        let filter = TrashFilter { viewer, after: listing.after, limit: limit + 1 };
        let mut trashed = self.ports().songs.list_trash(&filter).await?;
        let mut next = None;
        if trashed.len() > limit as usize {
            trashed.truncate(limit as usize);
            next = trashed.last().map(position);
        }
        Ok(TrashPage { songs: trashed.iter().map(|trashed| self.trashed_view(trashed)).collect(), next })
    }

    fn trashed_view(&self, trashed: &TrashedSong) -> TrashedSongView {
        let TrashedSong { song, trashed_at, .. } = trashed;
        let view = with_details(SongView::from(song), song, Some(&self.model_of_song(song)));
        let Retention { all, anonymous } = self.settings().retention;
        let ends = [
            (*trashed_at, Some(self.settings().trash.unwrap_or(Duration::ZERO))),
            (song.uploaded_at(), all),
            (song.uploaded_at(), anonymous.filter(|_| song.uploader().is_none())),
        ];
        let end = |(since, kept_for): (OffsetDateTime, Option<Duration>)| {
            since.checked_add(time::Duration::try_from(kept_for?).ok()?)
        };
        let ends_at = ends.into_iter().filter_map(end).min();
        TrashedSongView::new(view, rfc3339(*trashed_at), ends_at.map(rfc3339))
    }

    /// Restores a song from the trash, with its share links. If deleting it cancelled its splitting, it waits again.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] if it is not in the trash, also for another user's song; [`ServiceError::Unavailable`]
    /// or [`ServiceError::Internal`].
    pub async fn restore(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        let hash = *self.restorable(viewer, id).await?.song.hash();
        let restored = {
            // Excludes the deletion of its files, and the withdrawal of a new job.
            let _lock = self.ports().coordination.lock(&hash).await?;
            self.ports().songs.restore(id).await?
        };
        self.restored(&restored.ok_or(ServiceError::NO_SONG)?).await
    }

    /// Announces that a song was restored. Its hash must not be locked.
    pub(super) async fn restored(&self, song: &Song) -> Result<SongView, ServiceError> {
        tracing::info!(song = %song.id(), hash = %song.hash(), "song restored from the trash");
        self.restart_waiting(song).await;
        self.relay_soon(&song.target().key).await;
        self.changes().announce(&song.target().key);
        self.view(song).await
    }

    /// Deletes a song in the trash for good.
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
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// let settings = SongSettings { trash: Some(Duration::from_secs(7 * 86_400)), ..SongSettings::default() };
    /// let service = builder.with_settings(settings).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// service.delete(Viewer::Anonymous, song.id).await?;
    /// service.delete_for_good(Viewer::Anonymous, song.id).await?;
    /// let restored = service.restore(Viewer::Anonymous, song.id).await;
    /// assert!(matches!(restored, Err(ServiceError::NotFound { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::restore`].
    pub async fn delete_for_good(&self, viewer: Viewer, id: SongId) -> Result<(), ServiceError> {
        self.restorable(viewer, id).await?;
        if self.remove_trashed(id).await? { Ok(()) } else { Err(ServiceError::NO_SONG) }
    }

    async fn restorable(&self, viewer: Viewer, id: SongId) -> Result<TrashedSong, ServiceError> {
        let trashed = self.ports().songs.find_trashed(id).await?;
        trashed.filter(|trashed| viewer.may_change(&trashed.song)).ok_or(ServiceError::NO_SONG)
    }

    /// Puts a song whose hash is locked in the trash. Returns whether it existed.
    pub(super) async fn trash_locked(&self, id: SongId) -> Result<bool, ServiceError> {
        let now = self.ports().clock.now();
        let Some(Trashed { trashed, is_wanted_by_others }) = self.ports().songs.trash(id, now).await? else {
            return Ok(false);
        };
        let (hash, key) = (trashed.song.hash(), trashed.song.target().key);
        tracing::info!(song = %id, %hash, "song moved to the trash");
        if !is_wanted_by_others {
            if trashed.was_waiting {
                self.withdraw(&key).await;
            }
            self.record_deletion(&key).await;
        }
        self.changes().announce(&key);
        Ok(true)
    }

    /// Deletes a song for good if it is in the trash. Returns whether it was.
    async fn remove_trashed(&self, id: SongId) -> Result<bool, ServiceError> {
        let ports = self.ports();
        let Some(TrashedSong { song, .. }) = ports.songs.find_trashed(id).await? else { return Ok(false) };
        let _lock = ports.coordination.lock(song.hash()).await?;
        // It may have been restored meanwhile.
        if ports.songs.find_trashed(id).await?.is_none() {
            return Ok(false);
        }
        self.remove_locked(id).await
    }

    /// Deletes the uploader's oldest songs in the trash until its songs and its trash together fit its quota.
    pub(super) async fn shrink_trash(&self, charge: &Charge) {
        let Some(uploader) = charge.uploader.filter(|_| charge.quota.has_totals()) else { return };
        for _ in 0..MOST_SHRUNK {
            let removed = match self.ports().songs.trash_over(&uploader, &charge.quota).await {
                Ok(Some(id)) => self.remove_trashed(id).await,
                Ok(None) => return,
                Err(error) => Err(error.into()),
            };
            // The song is uploaded anyway.
            if let Err(error) = removed {
                return tracing::warn!(error = chain(&error), "emptying a full trash failed; the next upload retries");
            }
        }
    }

    /// Deletes songs for good that were put in the trash before a time, or all; and while a disk is short of room, the
    /// oldest ones.
    pub(super) async fn sweep_trash(
        &self,
        before: Option<OffsetDateTime>,
        swept: &mut Swept,
    ) -> Result<(), ServiceError> {
        const ALL: OffsetDateTime = PrimitiveDateTime::MAX.assume_utc();

        loop {
            let is_short = self.is_short_of_room().await;
            let before = before.filter(|_| !is_short).unwrap_or(ALL);
            // One at a time, so that no more goes than the missing room needs.
            let limit = if is_short { 1 } else { BATCH };
            let old = self.ports().songs.trashed_before(before, limit).await?;
            let mut removed = 0;
            for &id in &old {
                removed += u64::from(self.remove_trashed(id).await?);
            }
            swept.trashed += removed;
            // Songs that could not be removed would be listed again.
            if old.len() < limit as usize || removed == 0 {
                return Ok(());
            }
        }
    }
}

fn position(trashed: &TrashedSong) -> (i64, SongId) {
    let at_us = trashed.trashed_at.unix_timestamp_nanos() / 1000;
    (i64::try_from(at_us).unwrap_or(i64::MAX), trashed.song.id())
}

/// Returns a song, also from the trash.
pub(super) async fn stored(songs: &dyn SongRepository, id: SongId) -> Result<Option<Song>, RepositoryError> {
    match songs.find(id).await? {
        Some(song) => Ok(Some(song)),
        None => Ok(songs.find_trashed(id).await?.map(|trashed| trashed.song)),
    }
}
