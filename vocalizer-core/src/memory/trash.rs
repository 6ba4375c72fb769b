//! The trash in memory.

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_api::WebhookEvent;

use super::MemorySongs;
use super::songs::{State, micros};
use crate::ports::{RepositoryError, TrashFilter, TrashRepository, Trashed, TrashedSong};
use crate::quota::{Quota, Uploader};
use crate::song::{Song, SongId};

impl State {
    fn trashed(&self, song: &Song) -> Option<TrashedSong> {
        let &(trashed_at, was_waiting) = self.trash.get(&song.id())?;
        Some(TrashedSong { song: song.clone(), trashed_at, was_waiting })
    }

    /// Returns all songs in the trash, oldest first.
    fn all_trashed(&self) -> Vec<TrashedSong> {
        let mut trashed: Vec<_> = self.songs.iter().filter_map(|song| self.trashed(song)).collect();
        trashed.sort_by_key(|trashed| (trashed.trashed_at, trashed.song.id()));
        trashed
    }
}

#[async_trait]
impl TrashRepository for MemorySongs {
    async fn trash(&self, id: SongId, now: OffsetDateTime) -> Result<Option<Trashed>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.index(id) else { return Ok(None) };
        let before = state.songs[index].clone();
        let was_waiting = state.songs[index].cancel().is_ok();
        let song = state.songs[index].clone();
        let is_wanted_by_others = state.withdraw(song.target().key);
        let trashed_at = state.retention_time.map_or(now, |time| time.max(now));
        state.trash.insert(id, (trashed_at, was_waiting));
        state.webhooks.add(&before, WebhookEvent::Deleted);
        Ok(Some(Trashed { trashed: TrashedSong { song, trashed_at, was_waiting }, is_wanted_by_others }))
    }

    async fn restore(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        let mut state = self.state();
        match state.trash.remove(&id) {
            None => Ok(None),
            Some((_, true)) => state.retry(id),
            Some((_, false)) => Ok(state.live().find(|song| song.id() == id).cloned()),
        }
    }

    async fn find_trashed(&self, id: SongId) -> Result<Option<TrashedSong>, RepositoryError> {
        let state = self.state();
        Ok(state.songs.iter().find(|song| song.id() == id).and_then(|song| state.trashed(song)))
    }

    async fn list_trash(&self, filter: &TrashFilter) -> Result<Vec<TrashedSong>, RepositoryError> {
        let &TrashFilter { viewer, after, limit } = filter;
        let key = |trashed: &TrashedSong| (std::cmp::Reverse(micros(trashed.trashed_at)), trashed.song.id());
        let after = after.map(|(at_us, id)| (std::cmp::Reverse(at_us), id));
        let mut trashed = self.state().all_trashed();
        trashed.retain(|trashed| viewer.may_change(&trashed.song) && after.is_none_or(|after| key(trashed) > after));
        trashed.sort_by_key(key);
        trashed.truncate(limit as usize);
        Ok(trashed)
    }

    async fn trashed_before(&self, before: OffsetDateTime, limit: u32) -> Result<Vec<SongId>, RepositoryError> {
        let trashed = self.state().all_trashed().into_iter();
        let old = trashed.filter(|trashed| trashed.trashed_at < before).take(limit as usize);
        Ok(old.map(|trashed| trashed.song.id()).collect())
    }

    async fn trash_over(&self, uploader: &Uploader, quota: &Quota) -> Result<Option<SongId>, RepositoryError> {
        let state = self.state();
        let own = |id: &SongId| state.extras.get(id).is_some_and(|extra| extra.uploader == Some(*uploader));
        let counted = state.extras.values().filter(|extra| extra.uploader == Some(*uploader));
        let (songs, bytes) = counted.fold((0, 0), |(songs, bytes), extra| (songs + 1, bytes + extra.size_bytes));
        if quota.holds(songs, bytes) {
            return Ok(None);
        }
        Ok(state.all_trashed().into_iter().map(|trashed| trashed.song.id()).find(own))
    }
}
