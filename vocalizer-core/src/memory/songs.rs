//! Songs and their outbox in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_api::WebhookEvent;

use super::webhook_state::Webhooks;
use crate::account::{SessionDigest, ShareId, ShareLink, UserId};
use crate::dedupe::{self, Advance, UploadPlan};
use crate::ports::{
    Cancelled, Census, Charge, Cursor, Expiry, JobLine, MarkerRepository, PartialUpload, Pending, Removed,
    RepositoryError, ResultRepository, ShareRepository, SongCounts, SongFilter, SongRepository, WebhookRepository,
};
use crate::quota::{Quota, QuotaChange, Uploader, Usage};
use crate::song::{IllegalTransition, Marker, MarkerId, Song, SongHash, SongId, StatusKind, StemsInfo, Target, Title};
use crate::trace::current;

/// A [`SongRepository`] in memory.
#[derive(Debug, Default)]
pub struct MemorySongs(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) songs: Vec<Song>,
    /// The results with the hash that each belongs to, oldest first.
    results: Vec<(SongHash, StemsInfo)>,
    shares: Vec<ShareLink>,
    markers: Vec<(SongId, Marker)>,
    pub(super) uploads: Vec<PartialUpload>,
    pub(super) outbox: Vec<Pending>,
    /// When the claims on outbox entries expire, by number.
    claims: HashMap<i64, OffsetDateTime>,
    numbers: i64,
    /// Additional data of the songs.
    pub(super) extras: HashMap<SongId, Extra>,
    /// When the rate limits of uploads and of audio have recovered.
    buckets: HashMap<Uploader, (i64, i64)>,
    pub(super) retention_time: Option<OffsetDateTime>,
    priorities: HashMap<UserId, i32>,
    /// When the songs in the trash were deleted, and whether that cancelled them.
    pub(super) trash: HashMap<SongId, (OffsetDateTime, bool)>,
    pub(super) webhooks: Webhooks,
    /// How the quotas of users differ from that of all.
    pub(super) quotas: HashMap<UserId, QuotaChange>,
    pub(super) is_holding: bool,
    /// Hashes whose files are to be deleted, oldest first.
    pub(super) erasures: Vec<SongHash>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    pub(super) uploader: Option<Uploader>,
    pub(super) size_bytes: u64,
    kept_since: OffsetDateTime,
}

impl State {
    /// Plans the processing of a waiting song and adds its key to the outbox if needed.
    fn plan(&mut self, song: &mut Song) -> Result<(), RepositoryError> {
        let others = self.live().filter(|other| other.hash() == song.hash() && other.id() != song.id());
        let key = song.target().key;
        let results = self.results.iter().find(|(_, result)| result.key == Some(key)).map(|(_, result)| result.clone());
        let plan = dedupe::settle(song, &others.collect::<Vec<_>>(), results).map_err(corrupt)?;
        if plan == UploadPlan::Enqueue {
            // A new number: the old entry may be about to be removed, published for deleted songs.
            self.outbox.retain(|entry| entry.hash != key);
            self.enqueue(&key);
        }
        Ok(())
    }

    pub(super) fn retry(&mut self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        let Some(index) = self.index(id) else { return Ok(None) };
        let mut song = self.songs[index].clone();
        song.retry().map_err(|_| RepositoryError::Conflict)?;
        self.plan(&mut song)?;
        self.songs[index] = song.clone();
        self.webhooks.changed(&song);
        Ok(Some(song))
    }

    fn enqueue(&mut self, hash: &SongHash) {
        if self.outbox.iter().all(|entry| entry.hash != *hash) {
            self.numbers += 1;
            self.outbox.push(Pending { number: self.numbers, hash: *hash, trace: current() });
        }
    }

    pub(super) fn usage(&self, uploader: &Uploader) -> Usage {
        let is_live = |id: &SongId| !self.trash.contains_key(id);
        let live = self.extras.iter().filter(|(id, _)| is_live(id)).map(|(_, extra)| extra);
        let counted = live.filter(|extra| extra.uploader == Some(*uploader));
        let (songs, bytes) = counted.fold((0, 0), |(songs, bytes), extra| (songs + 1, bytes + extra.size_bytes));
        let (uploads_until_us, audio_until_us) = self.buckets.get(uploader).copied().unwrap_or_default();
        Usage { songs, bytes, uploads_until_us, audio_until_us }
    }

    fn set_usage(&mut self, uploader: &Uploader, usage: Usage) {
        self.buckets.insert(*uploader, (usage.uploads_until_us, usage.audio_until_us));
    }

    /// Returns the index of a song that is not in the trash.
    pub(super) fn index(&self, id: SongId) -> Option<usize> {
        self.stored_index(id).filter(|_| !self.trash.contains_key(&id))
    }

    pub(super) fn stored_index(&self, id: SongId) -> Option<usize> {
        self.songs.iter().position(|song| song.id() == id)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Song> {
        self.songs.iter().filter(|song| !self.trash.contains_key(&song.id()))
    }

    /// Returns whether another song waits for the same stems; if not, the outbox entry is removed.
    pub(super) fn withdraw(&mut self, key: SongHash) -> bool {
        let mut same_work = self.songs.iter().filter(|other| other.target().key == key);
        let is_wanted_by_others = same_work.any(|other| other.status().is_waiting());
        if !is_wanted_by_others {
            self.outbox.retain(|entry| entry.hash != key);
        }
        is_wanted_by_others
    }
}

pub(super) fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn corrupt(error: IllegalTransition) -> RepositoryError {
    RepositoryError::Corrupt(error.into())
}

impl MemorySongs {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SongRepository for MemorySongs {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError> {
        let &Charge { uploader, quota, weight, now } = charge;
        let mut state = self.state();
        if let Some(index) = state.stored_index(song.id()) {
            let stored = state.songs[index].clone();
            let is_same = !state.trash.contains_key(&song.id())
                && (stored.hash(), stored.uploader()) == (song.hash(), song.uploader());
            return if is_same { Ok(stored) } else { Err(RepositoryError::Conflict) };
        }
        if let Some(uploader) = uploader.filter(|_| !quota.is_unlimited()) {
            let admitted = quota.admit(state.usage(&uploader), weight, micros(now));
            state.set_usage(&uploader, admitted.map_err(RepositoryError::Exceeded)?);
        }
        let mut song = song.clone();
        state.plan(&mut song)?;
        state.songs.push(song.clone());
        state.webhooks.changed(&song);
        let uploader = match uploader {
            Some(Uploader::Address(_)) if !quota.has_totals() => None,
            Some(Uploader::Address(digest)) => Some(Uploader::Address(digest)),
            _ => song.uploader().map(Uploader::User),
        };
        let kept_since = state.retention_time.unwrap_or(song.uploaded_at()).max(song.uploaded_at());
        state.extras.insert(song.id(), Extra { uploader, size_bytes: weight.size_bytes, kept_since });
        Ok(song)
    }

    async fn begin_upload(
        &self,
        uploader: &Uploader,
        quota: &Quota,
        now: OffsetDateTime,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let usage = quota.begin(state.usage(uploader), micros(now));
        state.set_usage(uploader, usage.map_err(RepositoryError::Exceeded)?);
        Ok(())
    }

    async fn forget_uploaders(&self, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError> {
        let (mut state, now_us) = (self.state(), micros(now));
        state.buckets.retain(|_, (uploads_us, audio_us)| (*uploads_us).max(*audio_us) > now_us);
        if !keep_addresses {
            let addresses = state.extras.values_mut().filter(|one| matches!(one.uploader, Some(Uploader::Address(_))));
            addresses.for_each(|one| one.uploader = None);
        }
        Ok(())
    }

    async fn retention_time(&self, now: OffsetDateTime, most: Duration) -> Result<OffsetDateTime, RepositoryError> {
        let mut state = self.state();
        let time = state.retention_time.map_or(now, |before| now.min(before + most));
        state.retention_time = Some(time);
        Ok(time)
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError> {
        let state = self.state();
        let since = |song: &Song| state.extras.get(&song.id()).map_or(song.uploaded_at(), |extra| extra.kept_since);
        let ended = |song: &&Song| matches!(song.status().kind(), StatusKind::Split | StatusKind::Failed);
        let asked = |song: &&Song| since(song) < expiry.before && !(expiry.anonymous_only && song.uploader().is_some());
        let mut expired: Vec<_> = state.songs.iter().filter(ended).filter(asked).cloned().collect();
        expired.sort_by_key(|song| (since(song), song.id()));
        expired.truncate(limit as usize);
        Ok(expired)
    }

    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.state().retry(id)
    }

    async fn cancel(&self, id: SongId) -> Result<Option<Cancelled>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.index(id) else { return Ok(None) };
        let mut song = state.songs[index].clone();
        if !song.status().is_cancelled() {
            song.cancel().map_err(|_| RepositoryError::Conflict)?;
            state.songs[index] = song.clone();
        }
        let is_wanted_by_others = state.withdraw(song.target().key);
        Ok(Some(Cancelled { song, is_wanted_by_others }))
    }

    async fn lines(&self, key: &SongHash) -> Result<Vec<JobLine>, RepositoryError> {
        let state = self.state();
        let waits = |song: &&Song| song.target().key == *key && song.status().kind() == StatusKind::Uploaded;
        let mut waiting: Vec<_> = state.songs.iter().filter(waits).collect();
        waiting.sort_by_key(|song| song.uploaded_at());
        let mut lines = Vec::new();
        for owner in waiting.into_iter().map(Song::uploader) {
            let priority = owner.and_then(|owner| state.priorities.get(&owner)).copied().unwrap_or(0);
            let line = JobLine { owner, priority };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.priority));
        Ok(lines)
    }

    async fn set_priority(&self, user: UserId, priority: i32) -> Result<(), RepositoryError> {
        self.state().priorities.insert(user, priority);
        Ok(())
    }

    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError> {
        let mut state = self.state();
        let mut changed: Vec<Song> = Vec::new();
        let State { songs, trash, .. } = &mut *state;
        let live = songs.iter_mut().filter(|song| !trash.contains_key(&song.id()));
        for song in live.filter(|song| song.target().key == *hash) {
            if advance.apply(song).map_err(corrupt)? {
                changed.push(song.clone());
            }
        }
        if let (Advance::Finish(_), Some(song)) = (advance, changed.first()) {
            state.results.retain(|(_, result)| result.key != Some(*hash));
            state.results.push((*song.hash(), song.stems().clone()));
        }
        if matches!(advance, Advance::Finish(_) | Advance::Fail(_)) {
            state.outbox.retain(|entry| entry.hash != *hash);
        }
        changed.iter().for_each(|song| state.webhooks.changed(song));
        Ok(changed)
    }

    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.index(id) else { return Ok(None) };
        state.songs[index].rename(title.clone());
        Ok(Some(state.songs[index].clone()))
    }

    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        let state = self.state();
        Ok(state.index(id).map(|index| state.songs[index].clone()))
    }

    async fn list(&self, query: &SongFilter) -> Result<Vec<Song>, RepositoryError> {
        let SongFilter { viewer, status, after, limit } = *query;
        let key = |song: &Song| {
            let Cursor { uploaded_at_us, id } = Cursor::of(song);
            (std::cmp::Reverse(uploaded_at_us), id)
        };
        let state = self.state();
        let mut songs: Vec<_> = state
            .live()
            .filter(|song| song.uploader().is_none_or(|owner| viewer.user() == Some(owner)))
            .filter(|song| status.is_none_or(|status| song.status().kind() == status))
            .filter(|song| {
                after.is_none_or(|Cursor { uploaded_at_us, id }| key(song) > (std::cmp::Reverse(uploaded_at_us), id))
            })
            .cloned()
            .collect();
        songs.sort_by_key(key);
        songs.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(songs)
    }

    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        Ok(self.state().songs.iter().filter(|song| song.hash() == hash).cloned().collect())
    }

    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError> {
        let state = self.state();
        let mut hashes: Vec<_> =
            state.songs.iter().filter(|song| song.status().kind() == status).map(|song| song.target().key).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Ok(hashes)
    }

    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.stored_index(id) else { return Ok(None) };
        let song = state.songs.remove(index);
        state.extras.remove(&id);
        if state.trash.remove(&id).is_none() {
            state.webhooks.add(&song, WebhookEvent::Deleted);
        }
        state.shares.retain(|link| link.song != id);
        state.markers.retain(|(song, _)| *song != id);
        let others = state.songs.iter().filter(|other| other.hash() == song.hash()).count();
        if others == 0 {
            state.results.retain(|(hash, _)| hash != song.hash());
        }
        if state.songs.iter().all(|other| other.target().key != song.target().key) {
            state.outbox.retain(|entry| entry.hash != song.target().key);
        }
        Ok(Some(Removed { song, others_with_hash: others as u64 }))
    }

    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.state().enqueue(hash);
        Ok(())
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError> {
        Ok(self.state().outbox.iter().take(limit as usize).copied().collect())
    }

    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError> {
        let mut state = self.state();
        let State { outbox, claims, .. } = &mut *state;
        claims.retain(|number, until| {
            *until > now && *until <= now + lasts && outbox.iter().any(|entry| entry.number == *number)
        });
        let free = outbox.iter().filter(|entry| !claims.contains_key(&entry.number));
        let claimed: Vec<_> = free.take(limit as usize).copied().collect();
        claims.extend(claimed.iter().map(|entry| (entry.number, now + lasts)));
        Ok(claimed)
    }

    async fn release(&self, number: i64) -> Result<(), RepositoryError> {
        self.state().claims.remove(&number);
        Ok(())
    }

    async fn published(&self, number: i64) -> Result<(), RepositoryError> {
        self.state().outbox.retain(|entry| entry.number != number);
        Ok(())
    }

    async fn quota_of(&self, user: UserId) -> Result<QuotaChange, RepositoryError> {
        Ok(self.state().quotas.get(&user).copied().unwrap_or_default())
    }

    async fn is_holding(&self) -> Result<bool, RepositoryError> {
        Ok(self.state().is_holding)
    }

    async fn erasures(&self, limit: u32) -> Result<Vec<SongHash>, RepositoryError> {
        Ok(self.state().erasures.iter().take(limit as usize).copied().collect())
    }

    async fn erased(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.state().erasures.retain(|other| other != hash);
        Ok(())
    }

    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError> {
        Ok(self.state().songs.iter().map(Song::uploaded_at).max())
    }

    async fn count(&self) -> Result<SongCounts, RepositoryError> {
        let state = self.state();
        Ok(StatusKind::ALL.map(|kind| state.live().filter(|song| song.status().kind() == kind).count() as u64))
    }

    async fn census(&self) -> Result<Census, RepositoryError> {
        let state = self.state();
        let waiting = state.songs.iter().filter(|song| song.status().kind() == StatusKind::Uploaded);
        let (mut by_model, mut owners) = (BTreeMap::new(), BTreeSet::new());
        for song in waiting {
            *by_model.entry(song.target().model).or_default() += 1;
            owners.insert(song.uploader());
        }
        let (waiting_owners, shares) = (owners.len() as u64, state.shares.len() as u64);
        let trashed = state.trash.len() as u64;
        Ok(Census { waiting: by_model.into_iter().collect(), waiting_owners, shares, trashed })
    }

    fn webhooks(&self) -> Option<&dyn WebhookRepository> {
        Some(self)
    }
}

#[async_trait]
impl ResultRepository for MemorySongs {
    async fn with_key(&self, key: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        Ok(self.state().live().filter(|song| song.target().key == *key).cloned().collect())
    }

    async fn results(&self, hash: &SongHash) -> Result<Vec<StemsInfo>, RepositoryError> {
        let state = self.state();
        Ok(state.results.iter().filter(|(of, _)| of == hash).map(|(_, result)| result.clone()).collect())
    }

    async fn newest_results(&self, limit: u32) -> Result<Vec<StemsInfo>, RepositoryError> {
        let state = self.state();
        Ok(state.results.iter().rev().take(limit as usize).map(|(_, result)| result.clone()).collect())
    }

    async fn known_keys(&self) -> Result<Vec<SongHash>, RepositoryError> {
        let state = self.state();
        let songs = state.songs.iter().flat_map(|song| [*song.hash(), song.target().key]);
        Ok(songs.chain(state.results.iter().filter_map(|(_, result)| result.key)).collect())
    }

    async fn split_again(&self, id: SongId, target: &Target) -> Result<Option<Song>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.index(id) else { return Ok(None) };
        let before = state.songs[index].clone();
        let mut song = before.clone();
        song.split_again(target.clone()).map_err(|_| RepositoryError::Conflict)?;
        state.plan(&mut song)?;
        state.songs[index] = song.clone();
        if state.songs.iter().all(|other| other.target().key != before.target().key) {
            state.outbox.retain(|entry| entry.hash != before.target().key);
        }
        state.webhooks.changed(&song);
        Ok(Some(song))
    }
}

#[async_trait]
impl ShareRepository for MemorySongs {
    async fn insert_share(&self, link: &ShareLink, max: u32, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let is_used = |other: &ShareLink| other.id == link.id || other.digest == link.digest;
        if state.index(link.song).is_none() || state.shares.iter().any(is_used) {
            return Err(RepositoryError::Conflict);
        }
        state.shares.retain(|other| other.song != link.song || other.is_valid(now));
        let is_stored = state.shares.iter().filter(|other| other.song == link.song).count() < max as usize;
        if is_stored {
            state.shares.push(link.clone());
        }
        Ok(is_stored)
    }

    async fn shares(&self, song: SongId) -> Result<Vec<ShareLink>, RepositoryError> {
        let mut links: Vec<_> = self.state().shares.iter().filter(|link| link.song == song).cloned().collect();
        links.sort_by_key(|link| (std::cmp::Reverse(link.created_at), link.id));
        Ok(links)
    }

    async fn find_share(
        &self,
        digest: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<Option<ShareLink>, RepositoryError> {
        let state = self.state();
        let valid = state.shares.iter().find(|link| link.digest == digest && link.is_valid(now));
        Ok(valid.filter(|link| state.index(link.song).is_some()).cloned())
    }

    async fn revoke_share(&self, song: SongId, id: ShareId) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let before = state.shares.len();
        state.shares.retain(|link| link.song != song || link.id != id);
        Ok(state.shares.len() < before)
    }

    async fn forget_expired_shares(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let before = state.shares.len();
        state.shares.retain(|link| link.is_valid(now));
        Ok((before - state.shares.len()) as u64)
    }
}

#[async_trait]
impl MarkerRepository for MemorySongs {
    async fn insert_marker(&self, song: SongId, marker: &Marker, max: u32) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        if state.index(song).is_none() || state.markers.iter().any(|(_, other)| other.id == marker.id) {
            return Err(RepositoryError::Conflict);
        }
        let is_stored = state.markers.iter().filter(|(of, _)| *of == song).count() < max as usize;
        if is_stored {
            state.markers.push((song, marker.clone()));
        }
        Ok(is_stored)
    }

    async fn markers(&self, song: SongId) -> Result<Vec<Marker>, RepositoryError> {
        let state = self.state();
        let mut markers: Vec<_> =
            state.markers.iter().filter(|(of, _)| *of == song).map(|(_, marker)| marker.clone()).collect();
        markers.sort_by_key(|marker| (marker.at_ms, marker.id));
        Ok(markers)
    }

    async fn change_marker(
        &self,
        song: SongId,
        id: MarkerId,
        at_ms: Option<u64>,
        name: Option<&Title>,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let found = state.markers.iter_mut().find(|(of, marker)| *of == song && marker.id == id);
        let Some((_, marker)) = found else { return Ok(false) };
        marker.at_ms = at_ms.unwrap_or(marker.at_ms);
        if let Some(name) = name {
            marker.name = name.clone();
        }
        Ok(true)
    }

    async fn remove_marker(&self, song: SongId, id: MarkerId) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let before = state.markers.len();
        state.markers.retain(|(of, marker)| *of != song || marker.id != id);
        Ok(state.markers.len() < before)
    }
}
