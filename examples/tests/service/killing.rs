//! Port wrappers that kill the process at a chosen step, like `kill -9`.

use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink, UserId, Viewer};
use vocalizer_core::api::id::UploadId;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{
    AudioError, Backend, BackendError, Blob, BlobError, BlobKey, BlobStore, BlobWriter, Cancelled, Charge, DeadLetter,
    Depth, DurableLeases, Expiry, GivenUp, Job, JobLine, JobQueue, JobState, LabelCount, LabelRepository, Lease,
    LibraryQuery, LibraryRepository, LocalRead, MadeBlob, MarkerRepository, PartialUpload, Pending, Place, Progress,
    QueueError, Removed, RepositoryError, ResultRepository, Separator, ShareRepository, SongCounts, SongFilter,
    SongRepository, Space, StemSet, TrashFilter, TrashRepository, Trashed, TrashedSong, UploadBounds, UploadRepository,
    UploadTotals, Wanted, WebhookRepository,
};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{
    FailureReason, LabelChange, Marker, MarkerId, Song, SongHash, SongId, StatusKind, StemsInfo, Target, Title,
};

use super::support::stems;

/// Counts how often the fatal step is reached, and kills the process there.
#[derive(Clone)]
pub(crate) struct Killer {
    step: String,
    left: Arc<AtomicU32>,
}

impl Killer {
    /// Dies the `time`th time it reaches `step`.
    pub(crate) fn new(step: &str, time: u32) -> Self {
        Self { step: step.to_owned(), left: Arc::new(AtomicU32::new(time)) }
    }

    /// Wraps a port.
    pub(crate) fn before<T>(&self, inner: T) -> Killing<T> {
        Killing { inner, killer: self.clone() }
    }

    fn is_at(&self, step: &str) -> bool {
        step == self.step
    }

    async fn written(&self, key: &BlobKey) {
        match key {
            BlobKey::Source(_) => self.reached("after the blob is written").await,
            // One of the four stems is stored by then.
            BlobKey::Stem(..) | BlobKey::Lossless(..) => self.reached("in mid-result").await,
            BlobKey::Rendition(..)
            | BlobKey::Preview(..)
            | BlobKey::Peaks(..)
            | BlobKey::Analysis(_)
            | BlobKey::Cover(_)
            | BlobKey::Lyrics(_)
            | BlobKey::Piece(..) => {}
        }
    }

    /// Kills the process at the fatal step, or suspends it there until `SIGCONT`.
    async fn reached(&self, step: &str) {
        if self.step.strip_prefix("stopped ") == Some(step) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let stopped = Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
            assert!(stopped.unwrap().success());
        }
        if self.is_at(step) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let killed = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            panic!("still alive: {killed:?}");
        }
    }
}

/// A port that kills the process at the fatal step.
pub(crate) struct Killing<T> {
    inner: T,
    killer: Killer,
}

#[async_trait]
impl BlobStore for Killing<Arc<dyn BlobStore>> {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(Killing { inner: self.inner.begin().await?, killer: self.killer.clone() }))
    }
    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        self.inner.open(key, range).await
    }
    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.inner.size_bytes(key).await
    }
    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.inner.delete_all(hash).await
    }
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.inner.delete(key).await
    }
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.inner.made().await
    }
    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.inner.hashes().await
    }
    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.inner.last_written(hash).await
    }
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        self.inner.space().await
    }
    async fn check(&self) -> Result<(), BlobError> {
        self.inner.check().await
    }
    async fn sweep(&self) -> Result<u64, BlobError> {
        self.inner.sweep().await
    }
}

#[async_trait]
impl BlobWriter for Killing<Box<dyn BlobWriter>> {
    async fn write(&mut self, bytes: bytes::Bytes) -> Result<(), BlobError> {
        self.inner.write(bytes).await
    }
    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        self.inner.reader().await
    }
    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let committed = self.inner.commit(key).await?;
        self.killer.written(key).await;
        Ok(committed)
    }
    async fn replace(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let replaced = self.inner.replace(key).await?;
        self.killer.written(key).await;
        Ok(replaced)
    }
}

#[async_trait]
impl SongRepository for Killing<Arc<dyn SongRepository>> {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError> {
        let admitted = self.inner.admit_within(song, charge).await?;
        self.killer.reached("after commit").await;
        Ok(admitted)
    }
    async fn begin_upload(
        &self,
        uploader: &Uploader,
        quota: &Quota,
        now: OffsetDateTime,
    ) -> Result<(), RepositoryError> {
        self.inner.begin_upload(uploader, quota, now).await
    }
    async fn forget_uploaders(&self, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError> {
        self.inner.forget_uploaders(now, keep_addresses).await
    }
    async fn retention_time(&self, now: OffsetDateTime, most: Duration) -> Result<OffsetDateTime, RepositoryError> {
        self.inner.retention_time(now, most).await
    }
    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError> {
        self.inner.expired(expiry, limit).await
    }
    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.inner.retry(id).await
    }
    async fn cancel(&self, id: SongId) -> Result<Option<Cancelled>, RepositoryError> {
        self.inner.cancel(id).await
    }
    async fn lines(&self, hash: &SongHash) -> Result<Vec<JobLine>, RepositoryError> {
        self.inner.lines(hash).await
    }
    async fn set_priority(&self, user: UserId, priority: i32) -> Result<(), RepositoryError> {
        self.inner.set_priority(user, priority).await
    }
    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError> {
        self.inner.advance(hash, advance).await
    }
    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError> {
        self.inner.rename(id, title).await
    }
    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.inner.find(id).await
    }
    async fn list(&self, query: &SongFilter) -> Result<Vec<Song>, RepositoryError> {
        self.inner.list(query).await
    }
    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        self.inner.with_hash(hash).await
    }
    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError> {
        self.inner.hashes_in(status).await
    }
    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError> {
        self.inner.remove(id).await
    }
    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.inner.request(hash).await
    }
    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError> {
        self.inner.pending(limit).await
    }
    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError> {
        self.inner.claim(limit, lasts, now).await
    }
    async fn release(&self, number: i64) -> Result<(), RepositoryError> {
        self.inner.release(number).await
    }
    async fn published(&self, number: i64) -> Result<(), RepositoryError> {
        self.inner.published(number).await
    }
    async fn count(&self) -> Result<SongCounts, RepositoryError> {
        self.inner.count().await
    }
    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError> {
        self.inner.newest_upload().await
    }
    async fn check(&self) -> Result<(), RepositoryError> {
        self.inner.check().await
    }
    fn webhooks(&self) -> Option<&dyn WebhookRepository> {
        self.inner.webhooks()
    }
}

#[async_trait]
impl ResultRepository for Killing<Arc<dyn SongRepository>> {
    async fn with_key(&self, key: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        self.inner.with_key(key).await
    }
    async fn results(&self, hash: &SongHash) -> Result<Vec<StemsInfo>, RepositoryError> {
        self.inner.results(hash).await
    }
    async fn newest_results(&self, limit: u32) -> Result<Vec<StemsInfo>, RepositoryError> {
        self.inner.newest_results(limit).await
    }
    async fn known_keys(&self) -> Result<Vec<SongHash>, RepositoryError> {
        self.inner.known_keys().await
    }
    async fn split_again(&self, id: SongId, target: &Target) -> Result<Option<Song>, RepositoryError> {
        self.inner.split_again(id, target).await
    }
}

#[async_trait]
impl ShareRepository for Killing<Arc<dyn SongRepository>> {
    async fn insert_share(&self, link: &ShareLink, max: u32, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        self.inner.insert_share(link, max, now).await
    }
    async fn shares(&self, song: SongId) -> Result<Vec<ShareLink>, RepositoryError> {
        self.inner.shares(song).await
    }
    async fn find_share(
        &self,
        digest: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<Option<ShareLink>, RepositoryError> {
        self.inner.find_share(digest, now).await
    }
    async fn revoke_share(&self, song: SongId, id: ShareId) -> Result<bool, RepositoryError> {
        self.inner.revoke_share(song, id).await
    }
    async fn forget_expired_shares(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        self.inner.forget_expired_shares(now).await
    }
}

#[async_trait]
impl MarkerRepository for Killing<Arc<dyn SongRepository>> {
    async fn insert_marker(&self, song: SongId, marker: &Marker, max: u32) -> Result<bool, RepositoryError> {
        self.inner.insert_marker(song, marker, max).await
    }
    async fn markers(&self, song: SongId) -> Result<Vec<Marker>, RepositoryError> {
        self.inner.markers(song).await
    }
    async fn change_marker(
        &self,
        song: SongId,
        id: MarkerId,
        at_ms: Option<u64>,
        name: Option<&Title>,
    ) -> Result<bool, RepositoryError> {
        self.inner.change_marker(song, id, at_ms, name).await
    }
    async fn remove_marker(&self, song: SongId, id: MarkerId) -> Result<bool, RepositoryError> {
        self.inner.remove_marker(song, id).await
    }
}

#[async_trait]
impl LabelRepository for Killing<Arc<dyn SongRepository>> {
    async fn relabel(&self, id: SongId, change: &LabelChange) -> Result<Option<Song>, RepositoryError> {
        self.inner.relabel(id, change).await
    }
    async fn labels(&self, viewer: Viewer) -> Result<Vec<LabelCount>, RepositoryError> {
        self.inner.labels(viewer).await
    }
}

#[async_trait]
impl LibraryRepository for Killing<Arc<dyn SongRepository>> {
    async fn list_sorted(&self, query: &LibraryQuery) -> Result<Vec<(Song, Place)>, RepositoryError> {
        self.inner.list_sorted(query).await
    }
    async fn count_listed(&self, query: &LibraryQuery) -> Result<u64, RepositoryError> {
        self.inner.count_listed(query).await
    }
    async fn add_sort_keys(&self, limit: u32) -> Result<u64, RepositoryError> {
        self.inner.add_sort_keys(limit).await
    }
}

#[async_trait]
impl TrashRepository for Killing<Arc<dyn SongRepository>> {
    async fn trash(&self, id: SongId, now: OffsetDateTime) -> Result<Option<Trashed>, RepositoryError> {
        self.inner.trash(id, now).await
    }
    async fn restore(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.inner.restore(id).await
    }
    async fn find_trashed(&self, id: SongId) -> Result<Option<TrashedSong>, RepositoryError> {
        self.inner.find_trashed(id).await
    }
    async fn list_trash(&self, filter: &TrashFilter) -> Result<Vec<TrashedSong>, RepositoryError> {
        self.inner.list_trash(filter).await
    }
    async fn trashed_before(&self, before: OffsetDateTime, limit: u32) -> Result<Vec<SongId>, RepositoryError> {
        self.inner.trashed_before(before, limit).await
    }
    async fn trash_over(&self, uploader: &Uploader, quota: &Quota) -> Result<Option<SongId>, RepositoryError> {
        self.inner.trash_over(uploader, quota).await
    }
}

#[async_trait]
impl UploadRepository for Killing<Arc<dyn SongRepository>> {
    async fn create_upload(
        &self,
        upload: &PartialUpload,
        uploader: &Uploader,
        bounds: &UploadBounds,
    ) -> Result<bool, RepositoryError> {
        self.inner.create_upload(upload, uploader, bounds).await
    }
    async fn find_upload(&self, id: UploadId) -> Result<Option<PartialUpload>, RepositoryError> {
        self.inner.find_upload(id).await
    }
    async fn advance_upload(
        &self,
        id: UploadId,
        from: u64,
        to: u64,
        expires_at: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        self.inner.advance_upload(id, from, to, expires_at).await
    }
    async fn finish_upload(&self, id: UploadId, song: SongId) -> Result<(), RepositoryError> {
        self.inner.finish_upload(id, song).await
    }
    async fn remove_upload(&self, id: UploadId) -> Result<bool, RepositoryError> {
        self.inner.remove_upload(id).await
    }
    async fn expired_uploads(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<UploadId>, RepositoryError> {
        self.inner.expired_uploads(now, limit).await
    }
    async fn uploads(&self) -> Result<Vec<UploadId>, RepositoryError> {
        self.inner.uploads().await
    }
    async fn unfinished_uploads(&self) -> Result<UploadTotals, RepositoryError> {
        self.inner.unfinished_uploads().await
    }
}

#[async_trait]
impl JobQueue for Killing<Arc<dyn JobQueue>> {
    fn max_inline_bytes(&self) -> Option<u64> {
        self.inner.max_inline_bytes()
    }
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.publish_in(job, JobLine::default()).await
    }
    async fn publish_in(&self, job: Job, line: JobLine) -> Result<(), QueueError> {
        if self.killer.is_at("before the confirmation") {
            // Sent, but not confirmed.
            let _ = tokio::time::timeout(Duration::from_millis(2), self.inner.publish_in(job.clone(), line)).await;
            self.killer.reached("before the confirmation").await;
        }
        self.inner.publish_in(job, line).await?;
        self.killer.reached("after the confirmation").await;
        Ok(())
    }
    async fn move_ahead(&self, hash: &SongHash, line: JobLine) -> Result<(), QueueError> {
        self.inner.move_ahead(hash, line).await
    }
    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        self.inner.withdraw(hash).await
    }
    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        let lease = self.inner.lease().await?;
        self.killer.reached("after lease").await;
        Ok(lease)
    }
    async fn lease_for(&self, capabilities: &Capabilities) -> Result<Box<dyn Lease>, QueueError> {
        let lease = self.inner.lease_for(capabilities).await?;
        self.killer.reached("after lease").await;
        Ok(lease)
    }
    async fn has_worker(&self, model: &ModelName) -> Result<Option<bool>, QueueError> {
        self.inner.has_worker(model).await
    }
    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        self.inner.durable_leases()
    }
    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        self.inner.state(hash).await
    }
    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.depth().await
    }
    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        Ok(self.inner.given_up().await?.map(|given_up| Box::new(self.killer.before(given_up)) as _))
    }
}

#[async_trait]
impl GivenUp for Killing<Box<dyn GivenUp>> {
    fn letter(&self) -> &DeadLetter {
        self.inner.letter()
    }
    fn repeated_since(&self) -> Option<OffsetDateTime> {
        self.inner.repeated_since()
    }
    async fn file(self: Box<Self>) -> Result<(), QueueError> {
        self.killer.reached("before the dead letter is filed").await;
        self.inner.file().await
    }
}

#[async_trait]
impl Backend for Killing<Arc<dyn Backend>> {
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError> {
        self.inner.begin(hash).await
    }
    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError> {
        self.inner.source(job).await
    }
    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError> {
        self.inner.progress(hash, percent).await
    }
    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        let stems = DyingStems { stems, killer: &self.killer };
        let delivered = self.inner.deliver(hash, &stems).await?;
        self.killer.reached("after the result is stored").await;
        Ok(delivered)
    }
    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError> {
        self.inner.hand_back(hash).await
    }
    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError> {
        self.inner.fail(hash, reason).await
    }
}

/// Stems whose upload may be interrupted.
struct DyingStems<'a> {
    stems: &'a dyn StemSet,
    killer: &'a Killer,
}

#[async_trait]
impl StemSet for DyingStems<'_> {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        // The first stems are being sent by then.
        if stem == Stem::VOCALS {
            self.killer.reached("in mid-post").await;
        }
        self.stems.open(stem).await
    }
}

/// A fake separator that takes 10 ms and returns the same stems for every song.
#[async_trait]
impl Separator for Killing<()> {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.separate_with(None, song, progress).await
    }

    async fn separate_with(
        &self,
        model: Option<ModelName>,
        _: Blob,
        progress: Arc<dyn Progress>,
    ) -> Result<Box<dyn StemSet>, AudioError> {
        if let Some(model) = model {
            self.killer.reached(&format!("while loading {model}")).await;
        }
        progress.report(50);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.killer.reached("in mid-inference").await;
        Ok(Box::new(stems()))
    }
}
