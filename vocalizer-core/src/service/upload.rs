//! Uploads.

use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::songs::SongService;
use super::{Invalid, ModelChoice, ServiceError};
use crate::account::Viewer;
use crate::api::SongView;
use crate::causes::chain;
use crate::models::ModelName;
use crate::part::Stem;
use crate::ports::{AudioFacts, BlobKey, BlobWriter, Charge, RepositoryError};
use crate::quota::{Quota, Uploader, Weight};
use crate::song::{Song, SongFacts, SongHash, SongHasher, SongId, StatusKind, Title};
use crate::trace::{Kind, Traced};

/// An upload in progress. It is hashed while being written, in constant memory. Dropping it leaves nothing behind.
pub struct SongUpload {
    service: SongService,
    /// The ID that the client chose, so that it can repeat the upload.
    chosen_id: Option<SongId>,
    /// Whether the ID follows from a key.
    has_key: bool,
    refuses_duplicates: bool,
    choice: ModelChoice,
    viewer: Viewer,
    uploader: Option<Uploader>,
    quota: Quota,
    /// Whether it counts towards the quota already. A repeat never does.
    is_counted: bool,
    writer: Box<dyn BlobWriter>,
    hasher: SongHasher,
    size_bytes: u64,
}

impl SongService {
    /// Begins an upload from an address and counts it towards the uploader's quota.
    ///
    /// If the viewer has a song with the `id` that the client chose ([`SongUpload::with_id`], [`SongUpload::id_of_key`]),
    /// this may be a repeat. It is counted only if it turns out to be none.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # use vocalizer_core::quota::*;
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// let per_address = Quota { max_songs: Some(1), ..Quota::default() };
    /// let uploads = UploadPolicy { per_address, ..UploadPolicy::default() };
    /// let settings = SongSettings { uploads, ..SongSettings::default() };
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// let service = builder.with_settings(settings).build();
    /// # let address = "192.0.2.1".parse()?;
    /// let mut upload = service.begin_upload_from(Viewer::Anonymous, address, None).await?;
    /// # upload.write("the file".into()).await?;
    /// # upload.finish("Clair de lune").await?;
    ///
    /// // After this song, the quota is used up.
    /// let second = service.begin_upload_from(Viewer::Anonymous, address, None).await;
    /// assert!(matches!(second, Err(ServiceError::Exceeded(Exceeded::Songs { max_songs: 1 }))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Exceeded`] when a quota is reached, [`ServiceError::Unauthenticated`] when anonymous uploads are
    /// not allowed, and the errors of [`Self::begin_upload`].
    pub async fn begin_upload_from(
        &self,
        viewer: Viewer,
        address: IpAddr,
        id: Option<SongId>,
    ) -> Result<SongUpload, ServiceError> {
        self.check_may_upload(viewer)?;
        let (uploader, quota) = self.uploader(viewer, address).await?;
        let is_counted = !self.has_uploaded(viewer, id).await?;
        if is_counted {
            self.count_upload(uploader, &quota).await?;
        }
        Ok(SongUpload { is_counted, ..self.begin_counted(viewer, address).await? })
    }

    /// Returns whether the user has a song with the ID, without those in the trash. An anonymous viewer has none: everyone knows the IDs of
    /// public songs.
    pub(super) async fn has_uploaded(&self, viewer: Viewer, id: Option<SongId>) -> Result<bool, ServiceError> {
        let (Some(user), Some(id)) = (viewer.user(), id) else { return Ok(false) };
        Ok(self.ports().songs.find(id).await?.is_some_and(|song| song.uploader() == Some(user)))
    }

    /// Counts the start of an upload towards a quota.
    pub(super) async fn count_upload(&self, uploader: Option<Uploader>, quota: &Quota) -> Result<(), ServiceError> {
        if let Some(uploader) = uploader.filter(|_| !quota.is_unlimited()) {
            self.ports().songs.begin_upload(&uploader, quota, self.ports().clock.now()).await?;
        }
        Ok(())
    }

    /// Returns who uploads, and the limits for that: a user's own ones replace those of all users.
    pub(super) async fn uploader(
        &self,
        viewer: Viewer,
        address: IpAddr,
    ) -> Result<(Option<Uploader>, Quota), ServiceError> {
        let (uploader, quota) = self.settings().uploads.uploader(viewer, Some(address));
        let Some(user) = viewer.user() else { return Ok((uploader, quota)) };
        Ok((uploader, self.ports().songs.quota_of(user).await?.apply(quota)))
    }

    /// Begins an upload whose start has been counted.
    pub(super) async fn begin_counted(&self, viewer: Viewer, address: IpAddr) -> Result<SongUpload, ServiceError> {
        let (uploader, quota) = self.uploader(viewer, address).await?;
        Ok(SongUpload { uploader, quota, ..self.begin_upload(viewer).await? })
    }

    /// Checks whether the viewer may upload at all.
    pub(super) fn check_may_upload(&self, viewer: Viewer) -> Result<(), ServiceError> {
        if viewer.user().is_none() && !self.settings().uploads.anonymous {
            return Err(ServiceError::Unauthenticated {
                message: "log in first: this server does not accept anonymous uploads",
            });
        }
        Ok(())
    }

    /// Begins an upload that counts towards no quota.
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
    /// let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// for chunk in ["the bytes of ", "an MP3 file"] {
    ///     upload.write(chunk.into()).await?;
    /// }
    /// let song = upload.finish("Clair de lune").await?;
    /// assert_eq!(song.status, SongStatus::Uploaded);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Full`], also while free space is below [`SongSettings::min_free_bytes`];
    /// [`ServiceError::Unavailable`].
    ///
    /// [`SongSettings::min_free_bytes`]: super::SongSettings::min_free_bytes
    pub async fn begin_upload(&self, viewer: Viewer) -> Result<SongUpload, ServiceError> {
        self.check_room().await?;
        let writer = self.ports().blobs.begin().await?;
        let (uploader, quota) = (None, Quota::default());
        Ok(SongUpload {
            service: self.clone(),
            chosen_id: None,
            has_key: false,
            refuses_duplicates: false,
            choice: ModelChoice::default(),
            viewer,
            uploader,
            quota,
            is_counted: true,
            writer,
            hasher: SongHasher::new(),
            size_bytes: 0,
        })
    }

    /// Deletes bytes that have no song. Their hash must be locked. The sweep removes leftovers.
    async fn discard(&self, hash: &SongHash) {
        if let Err(error) = self.delete_bytes(hash, &[*hash]).await {
            tracing::warn!(%hash, error = chain(&error), "deleting a rejected upload failed; a sweep will retry");
        }
    }
}

impl SongUpload {
    /// Gives the song an ID that the client chose, so that the client can repeat the upload if its answer is lost: the
    /// same bytes with the same ID from the same user make one song.
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
    /// let id = SongId::random();
    /// // The client repeats the upload, because it got no response.
    /// for _ in 0..2 {
    ///     let mut upload = service.begin_upload(Viewer::Anonymous).await?.with_id(id);
    ///     upload.write("the bytes of an MP3 file".into()).await?;
    ///     assert_eq!(upload.finish("Clair de lune").await?.id, id);
    /// }
    /// assert_eq!(service.list(Viewer::Anonymous, Listing::default()).await?.songs.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_id(self, id: SongId) -> Self {
        Self { chosen_id: Some(id), ..self }
    }

    /// Gives the song an ID that follows from the uploader and a key that the client chose, for the same purpose as
    /// [`Self::with_id`]. A repeat must have the same title, model and stems, too. All anonymous uploaders share one space
    /// of keys.
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
    /// let mut ids = Vec::new();
    /// for _ in 0..2 {
    ///     let mut upload = service.begin_upload(Viewer::Anonymous).await?.with_key("import 2030-12-31, row 7");
    ///     upload.write("the bytes of an MP3 file".into()).await?;
    ///     ids.push(upload.finish("Clair de lune").await?.id);
    /// }
    /// assert_eq!(ids[0], ids[1]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { chosen_id: Some(Self::id_of_key(self.viewer, key)), has_key: true, ..self }
    }

    /// Returns the ID of a viewer's song that is uploaded [with a key](Self::with_key).
    #[must_use]
    pub fn id_of_key(viewer: Viewer, key: &str) -> SongId {
        let user = viewer.user().map(|user| user.to_string()).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(format!("vocalizer upload key {user} {key}")).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        // A UUID of version 8, which is for derived identifiers.
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        SongId::from_bytes(id)
    }

    /// Fails with [`ServiceError::Duplicate`] if the user has a song with the same bytes. Anonymous uploads are not
    /// compared: their uploaders are unknown.
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
    /// # let ada = Viewer::User(UserId::random());
    /// # let mut upload = service.begin_upload(ada).await?;
    /// # upload.write("the bytes of an MP3 file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// let mut upload = service.begin_upload(ada).await?.refusing_duplicates();
    /// upload.write("the bytes of an MP3 file".into()).await?;
    /// let refused = upload.finish("Clair de lune, again").await;
    /// assert!(matches!(refused, Err(ServiceError::Duplicate { song: known }) if known == song.id));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn refusing_duplicates(self) -> Self {
        Self { refuses_duplicates: true, ..self }
    }

    /// Sets the model and the stems; both are checked when the upload is finished.
    #[must_use]
    pub fn with_choice(self, choice: ModelChoice) -> Self {
        Self { choice, ..self }
    }

    /// Writes the next bytes. After an error, or if this future is dropped midway, the upload can only be dropped.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooLarge`] as soon as the limit is exceeded; [`ServiceError::Full`] or
    /// [`ServiceError::Unavailable`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ServiceError> {
        let max_bytes = self.service.settings().limits.max_upload_bytes;
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        if self.size_bytes > max_bytes {
            return Err(ServiceError::TooLarge { max_bytes });
        }
        self.hasher.update(&bytes);
        Ok(self.writer.write(bytes).await?)
    }

    /// Finishes the upload: probes the file, stores it and the song, and requests its splitting.
    ///
    /// On return the song and its outbox entry are durable. Run this to completion even if the client disconnects: a
    /// dropped future may leave bytes without a song, which only the sweep removes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the title, an empty file, the model or a stem, [`ServiceError::NotASong`],
    /// [`ServiceError::Conflict`] if another song has the [chosen ID](Self::with_id), [`ServiceError::Invalid`] if
    /// another one has the [key](Self::with_key), [`ServiceError::Duplicate`], [`ServiceError::Exceeded`], [`ServiceError::Full`],
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    /// Nothing is stored then.
    pub async fn finish(self, title: &str) -> Result<SongView, ServiceError> {
        let size_bytes = self.size_bytes;
        let storing = Traced::new(Kind::Internal, || tracing::info_span!("store", size_bytes));
        // On the heap: it holds a song and its files several times over.
        storing.run(Box::pin(self.store(title))).await
    }

    async fn store(mut self, title: &str) -> Result<SongView, ServiceError> {
        let ports = self.service.ports();
        let mut invalid = Vec::new();
        let title = Title::parse(title, self.service.settings().limits.max_title_chars);
        if let Err(error) = &title {
            invalid.push(Invalid { field: "title", message: error.to_string() });
        }
        if self.size_bytes == 0 {
            invalid.push(Invalid { field: "file", message: "the file is empty".to_owned() });
        }
        let chosen = self.choice.check(self.service.models()).map_err(|mut errors| invalid.append(&mut errors));
        let (Ok(title), Ok((model, stems)), true) = (title, chosen, invalid.is_empty()) else {
            return Err(ServiceError::Invalid(invalid));
        };
        let facts = ports.probe.probe(self.writer.reader().await?).await?;

        let hash = mem::take(&mut self.hasher).finish();
        let now = ports.clock.now();
        let weight = Weight { size_bytes: self.size_bytes, audio: audio(&facts, self.size_bytes) };
        let charge = Charge { uploader: self.uploader, quota: self.quota, weight, now };
        let AudioFacts { duration_ms, artist, has_cover, .. } = facts;
        let artist = artist.as_deref().and_then(SongFacts::artist);
        let facts = SongFacts { artist, duration_ms, has_cover };
        let mut song = Song::begin(self.chosen_id.unwrap_or_else(SongId::random), title, hash, self.viewer.user(), now);
        song.finish_upload().map_err(|error| ServiceError::Internal(error.into()))?;
        let song = {
            let lock = ports.coordination.lock(&hash).await?;
            let key = BlobKey::Source(hash);
            let uncounted = self.uploader.filter(|_| !self.is_counted);
            let known = ports.songs.with_hash(&hash).await?;
            let is_repeat = |known: &&Song| Some(known.id()) == self.chosen_id && known.uploader() == song.uploader();
            if let Some(first) = known.iter().find(is_repeat) {
                if self.has_key {
                    self.check_same(first, song.title(), &model.name, stems.as_deref())?;
                }
                if ports.songs.find(first.id()).await?.is_none() {
                    // It leaves the trash, so it takes room again.
                    self.service.count_upload(uncounted, &self.quota).await?;
                }
                let restored = ports.songs.restore(first.id()).await?;
                drop(lock);
                return match restored {
                    Some(restored) => self.service.restored(&restored).await,
                    None => self.service.view(first).await,
                };
            }
            let is_own = |known: &&Song| known.uploader().is_some() && known.uploader() == song.uploader();
            for own in known.iter().filter(is_own).filter(|_| self.refuses_duplicates) {
                // A song in the trash is none.
                if ports.songs.find(own.id()).await?.is_some() {
                    return Err(ServiceError::Duplicate { song: own.id() });
                }
            }
            if !self.is_counted && self.service.has_uploaded(self.viewer, self.chosen_id).await? {
                return Err(taken(self.has_key));
            }
            self.service.count_upload(uncounted, &self.quota).await?;
            let is_limited = charge.uploader.is_some() && !charge.quota.is_unlimited();
            let may_be_rejected = is_limited || self.chosen_id.is_some();
            let is_new = may_be_rejected && ports.blobs.size_bytes(&key).await?.is_none();
            // Even if the blob exists: these are the bytes that were hashed.
            if known.iter().any(|song| song.status().kind() == StatusKind::Failed) {
                // The stored bytes may be the cause of the failure.
                self.writer.replace(&key).await?;
            } else {
                self.writer.commit(&key).await?;
            }
            let song = song.with_facts(facts).with_target(self.service.target(&hash, &model, stems).await?);
            let admitted = ports.songs.admit_within(&song, &charge).await;
            // A rejected song must not leave its bytes, or rejected uploads would fill the disk.
            if matches!(admitted, Err(RepositoryError::Exceeded(_) | RepositoryError::Conflict)) && is_new {
                self.service.discard(&hash).await;
            }
            match admitted {
                Err(RepositoryError::Conflict) if self.chosen_id.is_some() => return Err(taken(self.has_key)),
                admitted => admitted?,
            }
        };
        let status = song.status().kind();
        tracing::info!(song = %song.id(), %hash, size_bytes = self.size_bytes, %status, "song uploaded");
        self.service.shrink_trash(&charge).await;
        self.service.restart_waiting(&song).await;
        self.service.relay_soon(&song.target().key).await;
        self.service.changes().announce(&song.target().key);
        self.service.view(&song).await
    }

    /// Checks that the song of a key is what this upload asks for.
    fn check_same(
        &self,
        song: &Song,
        title: &Title,
        model: &ModelName,
        stems: Option<&[Stem]>,
    ) -> Result<(), ServiceError> {
        if song.title() == title
            && self.service.model_of_song(song) == *model
            && song.target().stems.as_deref() == stems
        {
            return Ok(());
        }
        let message = "the key was used for an upload whose song has another title, model or other stems; use a new key for \
                       each upload";
        Err(ServiceError::invalid("Idempotency-Key", message))
    }
}

/// Returns the error of an ID or a key that another song has.
fn taken(has_key: bool) -> ServiceError {
    if has_key {
        let message = "the key was used for another file, maybe of a song in the trash; use a new key for each upload";
        return ServiceError::invalid("Idempotency-Key", message);
    }
    let message = "another song has this ID, maybe one in the trash; choose a new ID";
    ServiceError::Conflict { message, field: Some("id") }
}

/// Assumed bytes per second of a file without a duration: 128 kbit/s.
const USUAL_BYTES_PER_S: u64 = 16_000;

/// Returns the song's duration as far as its header tells.
fn audio(facts: &AudioFacts, size_bytes: u64) -> Duration {
    match facts.duration_ms {
        Some(duration_ms) => Duration::from_millis(duration_ms),
        None => Duration::from_secs(size_bytes.div_ceil(USUAL_BYTES_PER_S)),
    }
}
