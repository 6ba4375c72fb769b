//! One database, as servers see it: calls take time, may be refused, and may be done without an answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::memory::MemorySongs;
use vocalizer_core::ports::{Charge, Expiry, Pending, Removed, RepositoryError, SongCounts, SongQuery, SongRepository};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{Song, SongHash, SongId, StatusKind, Title};

use super::ghost::Ghost;
use super::kernel::{Kernel, Place};
use super::planted::Bug;

type Answer<T> = Result<T, RepositoryError>;

pub(crate) struct Database {
    kernel: Arc<Kernel>,
    ghost: Arc<Ghost>,
    songs: MemorySongs,
}

/// What is in memory is there at once.
fn now<T>(answer: BoxFuture<'_, Answer<T>>) -> Answer<T> {
    answer.now_or_never().expect("songs in memory are there at once")
}

impl Database {
    pub(crate) fn new(kernel: &Arc<Kernel>, ghost: &Arc<Ghost>) -> Arc<Self> {
        Arc::new(Self { kernel: Arc::clone(kernel), ghost: Arc::clone(ghost), songs: MemorySongs::default() })
    }

    /// What is there, without asking anybody.
    pub(crate) fn peek<'a, T>(&'a self, ask: impl FnOnce(&'a MemorySongs) -> BoxFuture<'a, Answer<T>>) -> T {
        now(ask(&self.songs)).expect("songs in memory do not fail")
    }

    pub(crate) fn outbox_is_empty(&self) -> bool {
        self.peek(|songs| songs.pending(1)).is_empty()
    }

    async fn call<T>(&self, effect: impl FnOnce() -> Answer<T> + Send) -> Answer<T> {
        let called = self.kernel.call(Place::Database, effect).await;
        called.map_err(|away| RepositoryError::Unavailable(Box::new(away)))?
    }

    /// A call that changes something about a hash.
    async fn change<T>(&self, hash: &SongHash, effect: impl FnOnce() -> Answer<T> + Send) -> Answer<T> {
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

    fn cross_off(&self, number: i64) -> Answer<()> {
        self.ghost.crossed_off(number);
        now(self.songs.published(number))
    }
}

#[async_trait]
impl SongRepository for Database {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Answer<Song> {
        self.change(song.hash(), || now(self.songs.admit_within(song, charge))).await
    }

    async fn begin_upload(&self, uploader: &Uploader, quota: &Quota, at: OffsetDateTime) -> Answer<()> {
        self.call(|| now(self.songs.begin_upload(uploader, quota, at))).await
    }

    async fn forget_uploaders(&self, at: OffsetDateTime, keep_addresses: bool) -> Answer<()> {
        self.call(|| now(self.songs.forget_uploaders(at, keep_addresses))).await
    }

    async fn retention_time(&self, at: OffsetDateTime, most: Duration) -> Answer<OffsetDateTime> {
        self.call(|| now(self.songs.retention_time(at, most))).await
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> Answer<Vec<Song>> {
        self.call(|| now(self.songs.expired(expiry, limit))).await
    }

    async fn retry(&self, id: SongId) -> Answer<Option<Song>> {
        let retried = || {
            let retried = now(self.songs.retry(id));
            if let Ok(Some(song)) = &retried {
                self.kernel.met("retried");
                self.check(song.hash());
            }
            retried
        };
        self.call(retried).await
    }

    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Answer<Vec<Song>> {
        let advanced = || {
            if *advance == Advance::HandBack {
                self.ghost.handed_back(hash);
            }
            now(self.songs.advance(hash, advance))
        };
        self.change(hash, advanced).await
    }

    async fn rename(&self, id: SongId, title: &Title) -> Answer<Option<Song>> {
        self.call(|| now(self.songs.rename(id, title))).await
    }

    async fn find(&self, id: SongId) -> Answer<Option<Song>> {
        self.call(|| now(self.songs.find(id))).await
    }

    async fn list(&self, query: &SongQuery) -> Answer<Vec<Song>> {
        self.call(|| now(self.songs.list(query))).await
    }

    async fn with_hash(&self, hash: &SongHash) -> Answer<Vec<Song>> {
        self.call(|| now(self.songs.with_hash(hash))).await
    }

    async fn hashes_in(&self, status: StatusKind) -> Answer<Vec<SongHash>> {
        self.call(|| now(self.songs.hashes_in(status))).await
    }

    async fn remove(&self, id: SongId) -> Answer<Option<Removed>> {
        let removed = || {
            let removed = now(self.songs.remove(id));
            if let Ok(Some(removed)) = &removed {
                let left = self.peek(|songs| songs.with_hash(removed.song.hash())).len() as u64;
                if left != removed.others_with_hash {
                    self.kernel.broken(format_args!("{left} songs are left, not {}", removed.others_with_hash));
                }
                self.kernel.met("deleted");
                self.check(removed.song.hash());
            }
            removed
        };
        self.call(removed).await
    }

    async fn request(&self, hash: &SongHash) -> Answer<()> {
        self.kernel.met("asked for again by a sweep");
        self.change(hash, || now(self.songs.request(hash))).await
    }

    async fn pending(&self, limit: u32) -> Answer<Vec<Pending>> {
        self.call(|| now(self.songs.pending(limit))).await
    }

    async fn claim(&self, limit: u32, lasts: Duration, at: OffsetDateTime) -> Answer<Vec<Pending>> {
        let claimed = || {
            let claimed = now(self.songs.claim(limit, lasts, at))?;
            if self.ghost.has(Bug::CrossesOffBeforePublishing) {
                claimed.iter().try_for_each(|wish| self.cross_off(wish.number))?;
            }
            Ok(claimed)
        };
        self.call(claimed).await
    }

    async fn release(&self, number: i64) -> Answer<()> {
        self.call(|| now(self.songs.release(number))).await
    }

    async fn published(&self, number: i64) -> Answer<()> {
        self.call(|| self.cross_off(number)).await
    }

    async fn newest_upload(&self) -> Answer<Option<OffsetDateTime>> {
        self.call(|| now(self.songs.newest_upload())).await
    }

    async fn count(&self) -> Answer<SongCounts> {
        self.call(|| now(self.songs.count())).await
    }
}
