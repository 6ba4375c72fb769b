//! Resumable uploads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::interrupts::Running;
use super::resumable_settings::ResumableSettings;
use super::songs::SongService;
use super::upload::SongUpload;
use super::{ServiceError, Swept};
use crate::account::Viewer;
use crate::api::id::UploadId;
use crate::api::{SongView, UploadView};
use crate::causes::chain;
use crate::ports::{BlobError, BlobKey, BlobWriter, Held, PartialUpload, UploadBounds, UploadTotals};
use crate::quota::Quota;
use crate::song::SongId;
use crate::wire::rfc3339;

/// The size of a piece in the blob store. A crash of the server loses at most one.
pub const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// The `retry_after` of a server whose uploads are at their bound: they finish or expire.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Uploads per query of the sweep.
const BATCH: u32 = 200;

const NO_UPLOAD: ServiceError = ServiceError::NotFound { what: "upload" };

/// A resumable upload that one caller continues. No other caller can meanwhile; a newer one in this process
/// [interrupts](Self::interrupted) it.
pub struct ResumableUpload {
    service: SongService,
    upload: PartialUpload,
    piece: Option<Piece>,
    // The order matters: the lock is released last.
    running: Running,
    _lock: Held,
}

/// A piece that is being written.
struct Piece {
    writer: Box<dyn BlobWriter>,
    key: BlobKey,
    /// Its bytes that are not counted yet.
    new_bytes: u64,
}

impl SongService {
    /// Begins a resumable upload of a file of this size, and counts it towards the uploader's quota. `fields` is kept
    /// for the caller that finishes it.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{collections::BTreeMap, sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// let address = "192.0.2.1".parse()?;
    /// let id = service.create_resumable(Viewer::Anonymous, address, 8, BTreeMap::new(), None).await?.id;
    ///
    /// let mut upload = service.resume(Viewer::Anonymous, id).await?;
    /// upload.write("the ".into()).await?;
    /// upload.save().await?;
    /// drop(upload);
    ///
    /// // Later, perhaps after a restart of the server.
    /// let mut upload = service.resume(Viewer::Anonymous, id).await?;
    /// assert_eq!(upload.view().received_bytes, 4);
    /// upload.write("song".into()).await?;
    /// upload.save().await?;
    /// let song = upload.finish(address, "Clair de lune", |upload| upload).await?;
    /// assert_eq!(song.hash, SongHash::of(b"the song").to_string());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for an empty file, [`ServiceError::TooLarge`], [`ServiceError::Exceeded`],
    /// [`ServiceError::Unauthenticated`] if anonymous uploads are not allowed, [`ServiceError::Busy`] if the server has
    /// too many unfinished uploads, [`ServiceError::Full`] or [`ServiceError::Unavailable`].
    pub async fn create_resumable(
        &self,
        viewer: Viewer,
        address: IpAddr,
        size_bytes: u64,
        fields: BTreeMap<String, String>,
        id: Option<SongId>,
    ) -> Result<UploadView, ServiceError> {
        let (settings, ports) = (self.settings(), self.ports());
        let max_bytes = settings.limits.max_upload_bytes.min(i64::MAX.unsigned_abs());
        if size_bytes > max_bytes {
            return Err(ServiceError::TooLarge { max_bytes });
        }
        if size_bytes == 0 {
            return Err(ServiceError::invalid("file", "the file is empty"));
        }
        self.check_may_upload(viewer)?;
        // Pieces and, at the end, the whole file.
        self.check_room_for(size_bytes.saturating_mul(2)).await?;
        let (uploader, quota) = self.uploader(viewer, address).await?;
        let Some(uploader) = uploader else { return Err(ServiceError::Internal("an upload without uploader".into())) };
        // If it turns out not to be a repeat, its end checks the quota.
        let quota = if self.has_uploaded(viewer, id).await? { Quota::default() } else { quota };
        self.count_upload(Some(uploader), &quota).await?;
        let ResumableSettings { max_per_uploader, max_bytes_per_uploader, max_total, max_total_bytes, .. } =
            settings.resumable;
        let bounds = UploadBounds {
            per_uploader: UploadTotals {
                uploads: max_per_uploader.into(),
                bytes: max_bytes_per_uploader.unwrap_or(max_bytes.saturating_mul(4)),
            },
            total: UploadTotals {
                uploads: max_total.into(),
                // Stores count with signed numbers.
                bytes: max_total_bytes.unwrap_or(max_bytes.saturating_mul(64)).min(i64::MAX.unsigned_abs()),
            },
            quota,
        };
        let upload = PartialUpload {
            id: UploadId::random(),
            owner: viewer.user(),
            uploader: uploader.to_string(),
            size_bytes,
            received_bytes: 0,
            fields,
            song: None,
            expires_at: self.upload_expiry(),
        };
        if !ports.songs.create_upload(&upload, &uploader, &bounds).await? {
            let what = "the server has too many unfinished uploads; try again later".to_owned();
            return Err(ServiceError::Busy { what, retry_after: FULL_RETRY_AFTER });
        }
        tracing::info!(upload = %upload.id, size_bytes, "resumable upload created");
        Ok(view(&upload))
    }

    /// Returns the state of a resumable upload.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's or an expired upload; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn resumable(&self, viewer: Viewer, id: UploadId) -> Result<UploadView, ServiceError> {
        Ok(view(&self.visible_upload(viewer, id).await?))
    }

    /// Continues a resumable upload. If another request continues it in this process, that one is interrupted; this one
    /// waits until it has ended.
    ///
    /// # Errors
    ///
    /// As [`Self::resumable`]; [`ServiceError::Unavailable`] also if another server continues it.
    pub async fn resume(&self, viewer: Viewer, id: UploadId) -> Result<ResumableUpload, ServiceError> {
        // Before the lock, so that strangers interrupt nothing.
        self.visible_upload(viewer, id).await?;
        self.interrupts().interrupt(id);
        let lock = self.ports().coordination.lock(&PartialUpload::hash_of(id)).await?;
        let running = self.interrupts().start(id);
        let upload = self.visible_upload(viewer, id).await?;
        Ok(ResumableUpload { service: self.clone(), upload, piece: None, running, _lock: lock })
    }

    /// Returns the number and the size of the unfinished resumable uploads, for monitoring.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn unfinished_uploads(&self) -> Result<UploadTotals, ServiceError> {
        Ok(self.ports().songs.unfinished_uploads().await?)
    }

    /// Deletes expired uploads.
    pub(super) async fn sweep_uploads(&self, swept: &mut Swept) -> Result<(), ServiceError> {
        loop {
            let expired = self.ports().songs.expired_uploads(self.clock().now(), BATCH).await?;
            for &id in &expired {
                self.interrupts().interrupt(id);
                let _lock = self.ports().coordination.lock(&PartialUpload::hash_of(id)).await?;
                // It may have continued or ended since the query.
                let upload = self.ports().songs.find_upload(id).await?;
                if let Some(upload) = upload.filter(|upload| upload.expires_at <= self.clock().now()) {
                    self.remove_upload(id).await?;
                    swept.uploads += 1;
                    if upload.song.is_none() {
                        self.work_counter().count_upload(|counts| {
                            counts.expired += 1;
                            counts.expired_bytes += upload.received_bytes;
                        });
                    }
                }
            }
            if expired.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Removes an upload with its pieces. It must be locked.
    async fn remove_upload(&self, id: UploadId) -> Result<(), ServiceError> {
        // The pieces first: without the upload nothing but the sweep of orphans would find them.
        self.ports().blobs.delete_all(&PartialUpload::hash_of(id)).await?;
        self.ports().songs.remove_upload(id).await?;
        Ok(())
    }

    async fn visible_upload(&self, viewer: Viewer, id: UploadId) -> Result<PartialUpload, ServiceError> {
        let found = self.ports().songs.find_upload(id).await?;
        let now = self.clock().now();
        let is_visible = |upload: &PartialUpload| {
            upload.expires_at > now && upload.owner.is_none_or(|owner| viewer.user() == Some(owner))
        };
        found.filter(is_visible).ok_or(NO_UPLOAD)
    }

    fn upload_expiry(&self) -> OffsetDateTime {
        self.clock().now().saturating_add(to_time(self.settings().resumable.expires_after)).truncate_to_microsecond()
    }
}

impl ResumableUpload {
    /// Returns the state: what is [saved](Self::save).
    #[must_use]
    pub fn view(&self) -> UploadView {
        view(&self.upload)
    }

    /// Returns what the client told about the song.
    #[must_use]
    pub const fn fields(&self) -> &BTreeMap<String, String> {
        &self.upload.fields
    }

    /// Returns whether all bytes are saved.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.upload.received_bytes == self.upload.size_bytes
    }

    /// Completes when another request wants to continue the upload: then [save](Self::save) and drop it.
    pub async fn interrupted(&mut self) {
        self.running.interrupted().await;
    }

    /// Writes the next bytes, and saves each full piece. After an error, or if this future is dropped midway, the upload
    /// can only be dropped; bytes that were not saved are lost.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooLarge`] if there are more bytes than declared; those of [`Self::save`].
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), ServiceError> {
        while !bytes.is_empty() {
            let at = self.upload.received_bytes + self.piece.as_ref().map_or(0, |piece| piece.new_bytes);
            if bytes.len() as u64 > self.upload.size_bytes - at {
                return Err(ServiceError::TooLarge { max_bytes: self.upload.size_bytes });
            }
            let piece = match &mut self.piece {
                Some(piece) => piece,
                none => none.insert(self.service.begin_piece(&self.upload).await?),
            };
            let room = PIECE_BYTES - at % PIECE_BYTES;
            let part = bytes.split_to(usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len())));
            piece.new_bytes += part.len() as u64;
            let is_full = part.len() as u64 == room;
            piece.writer.write(part).await?;
            if is_full {
                self.save().await?;
            }
        }
        Ok(())
    }

    /// Saves what was written: on return it is durable and counted.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Full`], [`ServiceError::Unavailable`], or [`ServiceError::Conflict`] if the upload was removed or
    /// continued by another server after this one lost its lock.
    pub async fn save(&mut self) -> Result<(), ServiceError> {
        let Some(Piece { writer, key, new_bytes }) = self.piece.take() else { return Ok(()) };
        let ports = self.service.ports();
        let lost = ServiceError::Conflict { message: "another request continues this upload", field: None };
        // A server that lost its lock must not replace the piece of another.
        if !ports.coordination.renew(key.hash()).await? {
            return Err(lost);
        }
        writer.commit(&key).await?;
        let (from, expires_at) = (self.upload.received_bytes, self.service.upload_expiry());
        if !ports.songs.advance_upload(self.upload.id, from, from + new_bytes, expires_at).await? {
            return Err(lost);
        }
        (self.upload.received_bytes, self.upload.expires_at) = (from + new_bytes, expires_at);
        Ok(())
    }

    /// Makes the song from a [complete](Self::is_complete) upload, by the same rules as a plain upload. `prepare` can set
    /// the song's ID and refuse duplicates. A repeat returns the same song.
    ///
    /// Run this to completion even if the client disconnects.
    ///
    /// # Errors
    ///
    /// Those of [`SongUpload::finish`]; [`ServiceError::Gone`] if the song was deleted since;
    /// [`ServiceError::Conflict`] if bytes are missing. If a repeat cannot succeed either, the upload is removed.
    pub async fn finish(
        self,
        address: IpAddr,
        title: &str,
        prepare: impl FnOnce(SongUpload) -> SongUpload + Send,
    ) -> Result<SongView, ServiceError> {
        // The registration and then the lock end with this function.
        let Self { service, upload, _lock, running: _running, .. } = self;
        let (ports, id) = (service.ports(), upload.id);
        if let Some(song) = upload.song {
            let known = ports.songs.find(song).await?;
            return service.view(&known.ok_or(ServiceError::Gone)?).await;
        }
        if upload.received_bytes < upload.size_bytes {
            return Err(ServiceError::Conflict { message: "the upload is not complete", field: None });
        }
        let viewer = upload.owner.map_or(Viewer::Anonymous, Viewer::User);
        // The song's ID follows from the upload's, so that a repeat after a crash makes no second song.
        let song = service.begin_counted(viewer, address).await?.with_id(SongId::from_bytes(id.to_bytes()));
        let finished = match service.assemble(&upload, song).await {
            Ok(song) => prepare(song).finish(title).await,
            Err(error) => Err(error),
        };
        match finished {
            Ok(song) => {
                ports.songs.finish_upload(id, song.id).await?;
                service.work_counter().count_upload(|counts| counts.finished += 1);
                if let Err(error) = ports.blobs.delete_all(&PartialUpload::hash_of(id)).await {
                    tracing::warn!(upload = %id, error = chain(&error), "deleting pieces failed; they expire");
                }
                Ok(song)
            }
            Err(error) => {
                if is_final(&error) {
                    service.remove_upload(id).await?;
                }
                Err(error)
            }
        }
    }

    /// Deletes the upload and its bytes. The song of a finished upload stays.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn remove(self) -> Result<(), ServiceError> {
        self.service.remove_upload(self.upload.id).await
    }
}

impl SongService {
    /// Copies the pieces of a complete upload into one file.
    async fn assemble(&self, upload: &PartialUpload, mut song: SongUpload) -> Result<SongUpload, ServiceError> {
        let &PartialUpload { id, size_bytes, .. } = upload;
        let mut start = 0;
        while start < size_bytes {
            let expected_bytes = PIECE_BYTES.min(size_bytes - start);
            let key = piece_key(id, start);
            let piece = self.ports().blobs.open(&key, None).await?;
            let mut piece = piece.filter(|piece| piece.size_bytes() == expected_bytes).ok_or_else(|| {
                tracing::error!(upload = %id, %key, "a piece is missing or has another size; upload removed");
                NO_UPLOAD
            })?;
            while let Some(chunk) = piece.next_chunk().await? {
                song.write(chunk).await?;
            }
            start += expected_bytes;
        }
        Ok(song)
    }

    /// Begins the piece at the end of an upload. A piece that is there already is copied, because blobs are not changed.
    async fn begin_piece(&self, upload: &PartialUpload) -> Result<Piece, ServiceError> {
        self.check_room().await?;
        let blobs = &self.ports().blobs;
        let key = piece_key(upload.id, upload.received_bytes);
        let mut writer = blobs.begin().await?;
        let kept_bytes = upload.received_bytes % PIECE_BYTES;
        if kept_bytes > 0 {
            let mut kept = match blobs.open(&key, Some(0..kept_bytes)).await {
                Ok(Some(kept)) => kept,
                Ok(None) | Err(BlobError::Range { .. }) => {
                    tracing::error!(upload = %upload.id, %key, "a piece is missing or too short; upload removed");
                    self.remove_upload(upload.id).await?;
                    return Err(NO_UPLOAD);
                }
                Err(error) => return Err(error.into()),
            };
            while let Some(chunk) = kept.next_chunk().await? {
                writer.write(chunk).await?;
            }
        }
        Ok(Piece { writer, key, new_bytes: 0 })
    }
}

/// Returns the key of the piece with the byte at `at`.
fn piece_key(id: UploadId, at: u64) -> BlobKey {
    BlobKey::Piece(PartialUpload::hash_of(id), at / PIECE_BYTES)
}

fn view(upload: &PartialUpload) -> UploadView {
    let &PartialUpload { id, size_bytes, received_bytes, song, expires_at, .. } = upload;
    UploadView::new(id, size_bytes, received_bytes, rfc3339(expires_at), song)
}

/// Returns whether finishing the same upload again fails too.
fn is_final(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::Invalid(_)
            | ServiceError::TooLarge { .. }
            | ServiceError::NotASong { .. }
            | ServiceError::Conflict { .. }
            | ServiceError::Duplicate { .. }
            | ServiceError::NotFound { .. }
    )
}

/// Longer than all times if it is out of range.
fn to_time(span: Duration) -> time::Duration {
    time::Duration::try_from(span).unwrap_or(time::Duration::MAX)
}
