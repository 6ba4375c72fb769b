//! The simulated database: calls take time, may be refused, and may take effect without a response.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink, UserId, Viewer};
use vocalizer_core::api::id::UploadId;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::memory::MemorySongs;
use vocalizer_core::ports::{
    Cancelled, Charge, Expiry, JobLine, LabelCount, LabelRepository, LibraryQuery, LibraryRepository, MarkerRepository,
    PartialUpload, Pending, Place, Removed, RepositoryError, ResultRepository, ShareRepository, SongCounts, SongFilter,
    SongRepository, TrashFilter, TrashRepository, Trashed, TrashedSong, UploadBounds, UploadRepository, UploadTotals,
};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{
    LabelChange, Marker, MarkerId, Song, SongHash, SongId, StatusKind, StemsInfo, Target, Title,
};

use super::ghost::Ghost;
use super::kernel::{Component, Kernel};
use super::planted::Bug;

type DbResult<T> = Result<T, RepositoryError>;

pub(crate) struct Database {
    kernel: Arc<Kernel>,
    ghost: Arc<Ghost>,
    songs: MemorySongs,
}

/// Unwraps a future that never waits.
fn now<T>(result: BoxFuture<'_, DbResult<T>>) -> DbResult<T> {
    result.now_or_never().expect("memory does not wait")
}

impl Database {
    pub(crate) fn new(kernel: &Arc<Kernel>, ghost: &Arc<Ghost>) -> Arc<Self> {
        Arc::new(Self { kernel: Arc::clone(kernel), ghost: Arc::clone(ghost), songs: MemorySongs::default() })
    }

    /// Reads without a simulated call.
    pub(crate) fn peek<'a, T>(&'a self, query: impl FnOnce(&'a MemorySongs) -> BoxFuture<'a, DbResult<T>>) -> T {
        now(query(&self.songs)).expect("memory does not fail")
    }

    pub(crate) fn outbox_is_empty(&self) -> bool {
        self.peek(|songs| songs.pending(1)).is_empty()
    }

    async fn call<T>(&self, effect: impl FnOnce() -> DbResult<T> + Send) -> DbResult<T> {
        let called = self.kernel.call(Component::Database, effect).await;
        called.map_err(|error| RepositoryError::Unavailable(Box::new(error)))?
    }

    /// Makes a call that changes songs with a hash.
    async fn change<T>(&self, hash: &SongHash, effect: impl FnOnce() -> DbResult<T> + Send) -> DbResult<T> {
        let checked = || {
            let done = effect();
            self.check(hash);
            done
        };
        self.call(checked).await
    }

    fn check(&self, hash: &SongHash) {
        let songs = self.peek(|songs| songs.with_hash(hash));
        self.ghost.stored(hash, &songs, &self.peek(|songs| songs.pending(u32::MAX)));
    }

    fn remove_entry(&self, number: i64) -> DbResult<()> {
        self.ghost.entry_removed(number);
        now(self.songs.published(number))
    }
}

#[async_trait]
impl SongRepository for Database {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> DbResult<Song> {
        self.change(song.hash(), || now(self.songs.admit_within(song, charge))).await
    }

    async fn begin_upload(&self, uploader: &Uploader, quota: &Quota, at: OffsetDateTime) -> DbResult<()> {
        self.call(|| now(self.songs.begin_upload(uploader, quota, at))).await
    }

    async fn forget_uploaders(&self, at: OffsetDateTime, keep_addresses: bool) -> DbResult<()> {
        self.call(|| now(self.songs.forget_uploaders(at, keep_addresses))).await
    }

    async fn retention_time(&self, at: OffsetDateTime, most: Duration) -> DbResult<OffsetDateTime> {
        self.call(|| now(self.songs.retention_time(at, most))).await
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> DbResult<Vec<Song>> {
        self.call(|| now(self.songs.expired(expiry, limit))).await
    }

    async fn retry(&self, id: SongId) -> DbResult<Option<Song>> {
        let retried = || {
            let retried = now(self.songs.retry(id));
            if let Ok(Some(song)) = &retried {
                self.kernel.cover("retried");
                self.check(song.hash());
            }
            retried
        };
        self.call(retried).await
    }

    async fn cancel(&self, id: SongId) -> DbResult<Option<Cancelled>> {
        let cancelled = || {
            let cancelled = now(self.songs.cancel(id));
            if let Ok(Some(cancelled)) = &cancelled {
                self.kernel.cover("cancelled");
                self.check(cancelled.song.hash());
            }
            cancelled
        };
        self.call(cancelled).await
    }

    async fn lines(&self, hash: &SongHash) -> DbResult<Vec<JobLine>> {
        self.call(|| now(self.songs.lines(hash))).await
    }

    async fn set_priority(&self, user: UserId, priority: i32) -> DbResult<()> {
        self.call(|| now(self.songs.set_priority(user, priority))).await
    }

    async fn advance(&self, hash: &SongHash, advance: &Advance) -> DbResult<Vec<Song>> {
        let advanced = || {
            if *advance == Advance::HandBack {
                self.ghost.handed_back(hash);
            }
            now(self.songs.advance(hash, advance))
        };
        self.change(hash, advanced).await
    }

    async fn rename(&self, id: SongId, title: &Title) -> DbResult<Option<Song>> {
        self.call(|| now(self.songs.rename(id, title))).await
    }

    async fn find(&self, id: SongId) -> DbResult<Option<Song>> {
        self.call(|| now(self.songs.find(id))).await
    }

    async fn list(&self, query: &SongFilter) -> DbResult<Vec<Song>> {
        self.call(|| now(self.songs.list(query))).await
    }

    async fn with_hash(&self, hash: &SongHash) -> DbResult<Vec<Song>> {
        self.call(|| now(self.songs.with_hash(hash))).await
    }

    async fn hashes_in(&self, status: StatusKind) -> DbResult<Vec<SongHash>> {
        self.call(|| now(self.songs.hashes_in(status))).await
    }

    async fn remove(&self, id: SongId) -> DbResult<Option<Removed>> {
        let removed = || {
            let removed = now(self.songs.remove(id));
            if let Ok(Some(removed)) = &removed {
                let left = self.peek(|songs| songs.with_hash(removed.song.hash())).len() as u64;
                if left != removed.others_with_hash {
                    self.kernel.violated(format_args!("{left} songs are left, not {}", removed.others_with_hash));
                }
                self.kernel.cover("deleted");
                self.check(removed.song.hash());
            }
            removed
        };
        self.call(removed).await
    }

    async fn request(&self, hash: &SongHash) -> DbResult<()> {
        self.kernel.cover("requested again by sweep");
        self.change(hash, || now(self.songs.request(hash))).await
    }

    async fn pending(&self, limit: u32) -> DbResult<Vec<Pending>> {
        self.call(|| now(self.songs.pending(limit))).await
    }

    async fn claim(&self, limit: u32, lasts: Duration, at: OffsetDateTime) -> DbResult<Vec<Pending>> {
        let claimed = || {
            let claimed = now(self.songs.claim(limit, lasts, at))?;
            if self.ghost.has(Bug::RemovesEntryBeforePublishing) {
                claimed.iter().try_for_each(|entry| self.remove_entry(entry.number))?;
            }
            Ok(claimed)
        };
        self.call(claimed).await
    }

    async fn release(&self, number: i64) -> DbResult<()> {
        self.call(|| now(self.songs.release(number))).await
    }

    async fn published(&self, number: i64) -> DbResult<()> {
        self.call(|| self.remove_entry(number)).await
    }

    async fn newest_upload(&self) -> DbResult<Option<OffsetDateTime>> {
        self.call(|| now(self.songs.newest_upload())).await
    }

    async fn count(&self) -> DbResult<SongCounts> {
        self.call(|| now(self.songs.count())).await
    }
}

#[async_trait]
impl ResultRepository for Database {
    async fn with_key(&self, key: &SongHash) -> DbResult<Vec<Song>> {
        self.call(|| now(self.songs.with_key(key))).await
    }

    async fn results(&self, hash: &SongHash) -> DbResult<Vec<StemsInfo>> {
        self.call(|| now(self.songs.results(hash))).await
    }

    async fn newest_results(&self, limit: u32) -> DbResult<Vec<StemsInfo>> {
        self.call(|| now(self.songs.newest_results(limit))).await
    }

    async fn known_keys(&self) -> DbResult<Vec<SongHash>> {
        self.call(|| now(self.songs.known_keys())).await
    }

    async fn split_again(&self, id: SongId, target: &Target) -> DbResult<Option<Song>> {
        self.call(|| now(self.songs.split_again(id, target))).await
    }
}

#[async_trait]
impl ShareRepository for Database {
    async fn insert_share(&self, link: &ShareLink, max: u32, at: OffsetDateTime) -> DbResult<bool> {
        self.call(|| now(self.songs.insert_share(link, max, at))).await
    }

    async fn shares(&self, song: SongId) -> DbResult<Vec<ShareLink>> {
        self.call(|| now(self.songs.shares(song))).await
    }

    async fn find_share(&self, digest: SessionDigest, at: OffsetDateTime) -> DbResult<Option<ShareLink>> {
        self.call(|| now(self.songs.find_share(digest, at))).await
    }

    async fn revoke_share(&self, song: SongId, id: ShareId) -> DbResult<bool> {
        self.call(|| now(self.songs.revoke_share(song, id))).await
    }

    async fn forget_expired_shares(&self, at: OffsetDateTime) -> DbResult<u64> {
        self.call(|| now(self.songs.forget_expired_shares(at))).await
    }
}

#[async_trait]
impl MarkerRepository for Database {
    async fn insert_marker(&self, song: SongId, marker: &Marker, max: u32) -> DbResult<bool> {
        self.call(|| now(self.songs.insert_marker(song, marker, max))).await
    }

    async fn markers(&self, song: SongId) -> DbResult<Vec<Marker>> {
        self.call(|| now(self.songs.markers(song))).await
    }

    async fn change_marker(
        &self,
        song: SongId,
        id: MarkerId,
        at_ms: Option<u64>,
        name: Option<&Title>,
    ) -> DbResult<bool> {
        self.call(|| now(self.songs.change_marker(song, id, at_ms, name))).await
    }

    async fn remove_marker(&self, song: SongId, id: MarkerId) -> DbResult<bool> {
        self.call(|| now(self.songs.remove_marker(song, id))).await
    }
}

#[async_trait]
impl LabelRepository for Database {
    async fn relabel(&self, id: SongId, change: &LabelChange) -> DbResult<Option<Song>> {
        self.call(|| now(self.songs.relabel(id, change))).await
    }

    async fn labels(&self, viewer: Viewer) -> DbResult<Vec<LabelCount>> {
        self.call(|| now(self.songs.labels(viewer))).await
    }
}

#[async_trait]
impl LibraryRepository for Database {
    async fn list_sorted(&self, query: &LibraryQuery) -> DbResult<Vec<(Song, Place)>> {
        self.call(|| now(self.songs.list_sorted(query))).await
    }

    async fn count_listed(&self, query: &LibraryQuery) -> DbResult<u64> {
        self.call(|| now(self.songs.count_listed(query))).await
    }

    async fn add_sort_keys(&self, limit: u32) -> DbResult<u64> {
        // Not a call, so that the seeds of earlier runs stay what they were: no song is without keys.
        now(self.songs.add_sort_keys(limit))
    }
}

#[async_trait]
impl TrashRepository for Database {
    async fn trash(&self, id: SongId, at: OffsetDateTime) -> DbResult<Option<Trashed>> {
        let trashed = || {
            let trashed = now(self.songs.trash(id, at));
            if let Ok(Some(trashed)) = &trashed {
                self.kernel.cover("trashed");
                self.check(trashed.trashed.song.hash());
            }
            trashed
        };
        self.call(trashed).await
    }

    async fn restore(&self, id: SongId) -> DbResult<Option<Song>> {
        let restored = || {
            let restored = now(self.songs.restore(id));
            if let Ok(Some(song)) = &restored {
                self.check(song.hash());
            }
            restored
        };
        self.call(restored).await
    }

    async fn find_trashed(&self, id: SongId) -> DbResult<Option<TrashedSong>> {
        self.call(|| now(self.songs.find_trashed(id))).await
    }

    async fn list_trash(&self, filter: &TrashFilter) -> DbResult<Vec<TrashedSong>> {
        self.call(|| now(self.songs.list_trash(filter))).await
    }

    async fn trashed_before(&self, before: OffsetDateTime, limit: u32) -> DbResult<Vec<SongId>> {
        self.call(|| now(self.songs.trashed_before(before, limit))).await
    }

    async fn trash_over(&self, uploader: &Uploader, quota: &Quota) -> DbResult<Option<SongId>> {
        self.call(|| now(self.songs.trash_over(uploader, quota))).await
    }
}

#[async_trait]
impl UploadRepository for Database {
    async fn create_upload(&self, upload: &PartialUpload, by: &Uploader, bounds: &UploadBounds) -> DbResult<bool> {
        self.call(|| now(self.songs.create_upload(upload, by, bounds))).await
    }

    async fn find_upload(&self, id: UploadId) -> DbResult<Option<PartialUpload>> {
        self.call(|| now(self.songs.find_upload(id))).await
    }

    async fn advance_upload(&self, id: UploadId, from: u64, to: u64, expires_at: OffsetDateTime) -> DbResult<bool> {
        self.call(|| now(self.songs.advance_upload(id, from, to, expires_at))).await
    }

    async fn finish_upload(&self, id: UploadId, song: SongId) -> DbResult<()> {
        self.call(|| now(self.songs.finish_upload(id, song))).await
    }

    async fn remove_upload(&self, id: UploadId) -> DbResult<bool> {
        self.call(|| now(self.songs.remove_upload(id))).await
    }

    async fn expired_uploads(&self, at: OffsetDateTime, limit: u32) -> DbResult<Vec<UploadId>> {
        self.call(|| now(self.songs.expired_uploads(at, limit))).await
    }

    async fn uploads(&self) -> DbResult<Vec<UploadId>> {
        self.call(|| now(self.songs.uploads())).await
    }

    async fn unfinished_uploads(&self) -> DbResult<UploadTotals> {
        self.call(|| now(self.songs.unfinished_uploads())).await
    }
}
