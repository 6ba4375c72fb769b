//! Lists, finds, renames and retries songs.

use std::sync::Arc;

use bytes::Bytes;

use super::ServiceError;
use super::background_state::BackgroundState;
use super::change_notifier::{ChangeNotifier, Changed};
use super::interrupts::Interrupts;
use super::known_shares::KnownShares;
use super::relay_state::RelayState;
use super::renderings::Renderings;
use super::song_settings::SongSettings;
use super::webhook_attempts::AttemptCounter;
use super::work_counter::WorkCounter;
use crate::account::Viewer;
use crate::api::SongView;
use crate::models::Models;
use crate::ports::{
    Attempts, AudioProbe, BlobStore, Clock, Coordination, Cursor, JobQueue, Renderer, RepositoryError, ResultReader,
    SongFilter, SongRepository, Space, WebhookSender,
};
use crate::song::{Song, SongId, StatusKind, Title};
use crate::wire::with_details;

/// How many songs of a page get a queue position. Each costs a query to the queue.
const MOST_POSITIONS: usize = 100;

/// The largest and default page size. Larger pages would block the store for too long and make responses of megabytes.
pub const MAX_PAGE: u32 = 1000;

/// Most songs watched in each of three groups: the newest, those waiting and those being split.
pub const MOST_WATCHED: u32 = 200;

/// The upper bound of the default disk reserve, which is 5 % of the disk if that is less.
const MIN_FREE_BYTES: u64 = 1024 * 1024 * 1024;

/// The ports that the service uses.
pub(super) struct SongPorts {
    /// Songs and the outbox.
    pub(super) songs: Arc<dyn SongRepository>,
    /// State that all servers share: locks, progress, deleted hashes.
    pub(super) coordination: Arc<dyn Coordination>,
    /// Counters of guesses at share links.
    pub(super) attempts: Arc<dyn Attempts>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) queue: Arc<dyn JobQueue>,
    /// Probes uploads and stems.
    pub(super) probe: Arc<dyn AudioProbe>,
    pub(super) renderer: Arc<dyn Renderer>,
    /// Reads result archives.
    pub(super) results: Arc<dyn ResultReader>,
    /// Sends requests to webhooks; `None` if the server has none.
    pub(super) webhooks: Option<Arc<dyn WebhookSender>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The songs of Vocalizer. Clones are handles to the same service.
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
/// upload.write("the bytes of an MP3 file".into()).await?;
/// let song = upload.finish("Clair de lune").await?;
///
/// // A worker delivers the stems; until then the song waits.
/// assert_eq!(service.song(Viewer::Anonymous, song.id).await?.status, SongStatus::Uploaded);
/// let file = service.part(Viewer::Anonymous.into(), song.id, Part::Song, Format::Mp3).await?;
/// let mut bytes = service.open(&file, None).await?;
/// assert_eq!(bytes.next_chunk().await?.as_deref(), Some(&b"the bytes of an MP3 file"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SongService {
    inner: Arc<Inner>,
}

struct Inner {
    ports: SongPorts,
    settings: SongSettings,
    models: Models,
    relaying: RelayState,
    renderings: Renderings,
    changes: ChangeNotifier,
    background: BackgroundState,
    known_shares: KnownShares,
    attempts: AttemptCounter,
    interrupts: Interrupts,
    work: WorkCounter,
}

/// A disk with less free space than its reserve.
struct FullDisk {
    what: &'static str,
    free_bytes: u64,
    reserve_bytes: u64,
}

/// Which songs to list, and how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only songs with this status.
    pub status: Option<StatusKind>,
    /// Only songs after this cursor.
    pub after: Option<Cursor>,
    /// The page size, at most [`MAX_PAGE`]. Default (`None`): [`MAX_PAGE`].
    pub limit: Option<u32>,
    /// Whether to include fields that the original system does not have, such as [`SongView::uploaded_at`],
    /// [`SongView::artist`] and [`SongView::provenance`].
    pub details: bool,
}

/// A page of songs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SongPage {
    /// The songs.
    pub songs: Vec<SongView>,
    /// The cursor of the next page, if there is one.
    pub next: Option<Cursor>,
}

impl SongService {
    pub(super) fn new(ports: SongPorts, settings: SongSettings, models: Models) -> Self {
        let renderings = Renderings::new(&settings.renderings, &ports.clock);
        let (relaying, changes) = (RelayState::default(), ChangeNotifier::new());
        let (background, known_shares) = (BackgroundState::default(), KnownShares::default());
        let (interrupts, attempts) = (Interrupts::default(), AttemptCounter::default());
        let inner = Inner {
            ports,
            settings,
            models,
            relaying,
            renderings,
            changes,
            background,
            known_shares,
            interrupts,
            attempts,
            work: WorkCounter::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn ports(&self) -> &SongPorts {
        &self.inner.ports
    }

    pub(super) fn relaying(&self) -> &RelayState {
        &self.inner.relaying
    }

    pub(super) fn made(&self) -> &Renderings {
        &self.inner.renderings
    }

    pub(super) fn background(&self) -> &BackgroundState {
        &self.inner.background
    }

    pub(super) fn known_shares(&self) -> &KnownShares {
        &self.inner.known_shares
    }

    pub(super) fn models(&self) -> &Models {
        &self.inner.models
    }

    pub(super) fn interrupts(&self) -> &Interrupts {
        &self.inner.interrupts
    }

    pub(super) fn work_counter(&self) -> &WorkCounter {
        &self.inner.work
    }

    pub(super) fn attempts(&self) -> &AttemptCounter {
        &self.inner.attempts
    }

    pub(super) fn changes(&self) -> &ChangeNotifier {
        &self.inner.changes
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &SongSettings {
        &self.inner.settings
    }

    /// Returns the queue, for monitoring.
    #[must_use]
    pub fn queue(&self) -> &Arc<dyn JobQueue> {
        &self.inner.ports.queue
    }

    /// Returns the repository, for monitoring.
    #[must_use]
    pub fn repository(&self) -> &Arc<dyn SongRepository> {
        &self.inner.ports.songs
    }

    /// Returns the clock, for callers that wait alongside the service.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.ports.clock
    }

    /// Checks that the blob store responds and accepts writes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Full`] or [`ServiceError::Unavailable`].
    pub async fn check_storage(&self) -> Result<(), ServiceError> {
        let blobs = &self.ports().blobs;
        blobs.check().await?;
        let mut writer = blobs.begin().await?;
        writer.write(Bytes::from_static(b"ready?")).await?;
        // Writers buffer; this flushes to the disk.
        writer.reader().await?;
        Ok(())
    }

    /// Checks that the disks have room for uploads and renditions. Everything else may use the reserve.
    pub(super) async fn check_room(&self) -> Result<(), ServiceError> {
        self.check_room_for(0).await
    }

    /// Checks that so many bytes fit on the disk of the blobs without using the reserve.
    pub(super) async fn check_room_for(&self, size_bytes: u64) -> Result<(), ServiceError> {
        let Some(full) = self.full_disk(size_bytes).await? else { return Ok(()) };
        let FullDisk { what, free_bytes, reserve_bytes } = full;
        tracing::warn!(what, free_bytes, reserve_bytes, size_bytes, "request rejected: low disk space");
        Err(ServiceError::Full)
    }

    /// Returns whether a disk is known to have less free space than the reserve.
    pub(super) async fn is_short_of_room(&self) -> bool {
        matches!(self.full_disk(0).await, Ok(Some(_)))
    }

    /// Returns the disk on which so many bytes of a blob do not fit without using the reserve, if there is one.
    async fn full_disk(&self, size_bytes: u64) -> Result<Option<FullDisk>, ServiceError> {
        let SongPorts { blobs, songs, .. } = self.ports();
        let disks = [("blobs", blobs.space().await?, size_bytes), ("database", songs.space().await?, 0)];
        for (what, space, size_bytes) in disks {
            let Some(Space { free_bytes, total_bytes }) = space else { continue };
            let reserve_bytes = self.settings().min_free_bytes.unwrap_or(MIN_FREE_BYTES.min(total_bytes / 20));
            if free_bytes < reserve_bytes.saturating_add(size_bytes) {
                return Ok(Some(FullDisk { what, free_bytes, reserve_bytes }));
            }
        }
        Ok(None)
    }

    /// Returns a page of the songs that the viewer may see, newest first.
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
    /// let (mut listing, mut titles) = (Listing { limit: Some(100), ..Listing::default() }, Vec::new());
    /// loop {
    ///     let page = service.list(Viewer::Anonymous, listing).await?;
    ///     titles.extend(page.songs.into_iter().map(|song| song.title));
    ///     listing.after = page.next;
    ///     if listing.after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(titles, ["Clair de lune"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn list(&self, viewer: Viewer, listing: Listing) -> Result<SongPage, ServiceError> {
        let Listing { status, after, limit, details } = listing;
        let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        // One more than requested, to learn whether there is a next page.
        let query = SongFilter { viewer, status, after, limit: Some(limit + 1) };
        let mut songs = self.ports().songs.list(&query).await?;
        let mut next = None;
        if songs.len() > limit as usize {
            songs.truncate(limit as usize);
            next = songs.last().map(Cursor::of);
        }
        Ok(SongPage { songs: self.views(&songs, details).await?, next })
    }

    /// Returns the songs of a page as viewers see them.
    pub(super) async fn views(&self, songs: &[Song], details: bool) -> Result<Vec<SongView>, ServiceError> {
        let waits = |song: &&Song| song.status().kind() == StatusKind::Uploaded;
        let waiting: Vec<_> = songs.iter().filter(waits).take(MOST_POSITIONS).map(|song| song.target().key).collect();
        let mut positions = self.positions(&waiting).await.into_iter();
        let mut views = Vec::with_capacity(songs.len());
        for song in songs {
            let view = match waits(&song) {
                true => {
                    let mut view = SongView::from(song);
                    view.queue_position = positions.next().flatten();
                    view
                }
                false => self.view(song).await?,
            };
            views.push(if details { with_details(view, song, Some(&self.model_of_song(song))) } else { view });
        }
        Ok(views)
    }

    /// Returns a song.
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
    /// let song = service.song(Viewer::Anonymous, song.id).await?;
    /// assert_eq!((song.title.as_str(), song.status), ("Clair de lune", SongStatus::Uploaded));
    ///
    /// let missing = service.song(Viewer::Anonymous, SongId::random()).await;
    /// assert!(matches!(missing, Err(ServiceError::NotFound { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn song(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        Ok(shown_to(viewer, self.view(&self.visible(viewer, id).await?).await?))
    }

    /// Returns a song and a listener for its changes, registered before the song is read so that no change is missed.
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
    /// # let (worker, hash) = (service.clone(), song.hash.parse()?);
    /// # tokio::spawn(async move {
    /// #     let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "v".into() };
    /// #     worker.begin(&hash).await.unwrap();
    /// #     worker.deliver(&hash, &stems).await.unwrap();
    /// # });
    /// let (mut changed, mut song) = service.watch(Viewer::Anonymous, song.id).await?;
    /// while !song.status.is_final() {
    ///     changed.await;
    ///     (changed, song) = service.watch(Viewer::Anonymous, song.id).await?;
    /// }
    /// assert_eq!(song.status, SongStatus::Split);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::song`].
    pub async fn watch(&self, viewer: Viewer, id: SongId) -> Result<(Changed, SongView), ServiceError> {
        let song = self.visible(viewer, id).await?;
        let changed = self.changes().listen(&song.target().key);
        // Read again: the song may have changed before the listener was registered.
        Ok((changed, self.song(viewer, id).await?))
    }

    /// Returns a listener for changes of all songs that the viewer may see, registered before they are read, and the
    /// songs to watch, with details: the newest, those waiting and those being split, at most [`MOST_WATCHED`] of each.
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
    /// let (changed, songs) = service.watch_all(Viewer::Anonymous).await?;
    /// println!("{} songs", songs.len());
    /// // Another task uploads, renames or deletes a song.
    /// # service.rename(Viewer::Anonymous, song.id, "Clair de lune (live)").await?;
    /// changed.await;
    /// let (changed, songs) = service.watch_all(Viewer::Anonymous).await?;
    /// # assert_eq!(songs[0].title, "Clair de lune (live)");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn watch_all(&self, viewer: Viewer) -> Result<(Changed, Vec<SongView>), ServiceError> {
        let changed = self.changes().listen_for_any();
        let mut songs = Vec::new();
        for status in [None, Some(StatusKind::Uploaded), Some(StatusKind::Splitting)] {
            let listing = Listing { status, limit: Some(MOST_WATCHED), details: true, ..Listing::default() };
            let mut page = self.list(viewer, listing).await?;
            songs.append(&mut page.songs);
            // The first page already has all songs.
            if status.is_none() && page.next.is_none() {
                break;
            }
        }
        Ok((changed, songs))
    }

    /// Returns a song with details.
    ///
    /// # Errors
    ///
    /// As [`Self::song`].
    pub async fn song_in_detail(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        let song = self.visible(viewer, id).await?;
        Ok(shown_to(viewer, self.in_detail(&song).await?))
    }

    /// Returns a song with details, as the API has it.
    pub(super) async fn in_detail(&self, song: &Song) -> Result<SongView, ServiceError> {
        let model = self.model_of_song(song);
        let mut view = with_details(self.view(song).await?, song, Some(&model));
        if song.status().kind() == StatusKind::Uploaded && !self.has_worker(&model).await {
            view.waiting_for = Some(format!("no worker for {model} was there within the last minutes"));
        } else {
            view.seconds_left = self.seconds_left(song).await;
        }
        Ok(view)
    }

    /// Changes a song's title.
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
    /// let song = service.rename(Viewer::Anonymous, song.id, " Clair de lune (live) ").await?;
    /// assert_eq!(song.title, "Clair de lune (live)");
    ///
    /// let rejected = service.rename(Viewer::Anonymous, song.id, "two\nlines").await;
    /// assert!(matches!(rejected, Err(ServiceError::Invalid(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the title, and the errors of [`Self::song`].
    pub async fn rename(&self, viewer: Viewer, id: SongId, title: &str) -> Result<SongView, ServiceError> {
        self.changeable(viewer, id).await?;
        let title = Title::parse(title, self.settings().limits.max_title_chars)
            .map_err(|error| ServiceError::invalid("title", error))?;
        let song = self.ports().songs.rename(id, &title).await?.ok_or(ServiceError::NO_SONG)?;
        self.changes().announce(&song.target().key);
        self.view(&song).await
    }

    /// Retries a failed song.
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
    /// // A worker could not split the song.
    /// service.fail(&song.hash.parse()?, &FailureReason::new("out of memory")).await?;
    /// assert_eq!(service.song(Viewer::Anonymous, song.id).await?.status, SongStatus::Failed);
    ///
    /// let song = service.retry(Viewer::Anonymous, song.id).await?;
    /// assert_eq!(song.status, SongStatus::Uploaded);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when it has not failed, and the errors of [`Self::song`].
    pub async fn retry(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        let hash = *self.changeable(viewer, id).await?.hash();
        // A concurrent cancellation must not withdraw the new job.
        let lock = self.ports().coordination.lock(&hash).await?;
        let song = self.ports().songs.retry(id).await.map_err(|error| match error {
            RepositoryError::Conflict => {
                ServiceError::Conflict { message: "only failed songs can be retried", field: None }
            }
            other => other.into(),
        })?;
        drop(lock);
        let song = song.ok_or(ServiceError::NO_SONG)?;
        self.relay_soon(&song.target().key).await;
        self.changes().announce(&song.target().key);
        self.view(&song).await
    }

    pub(super) async fn visible(&self, viewer: Viewer, id: SongId) -> Result<Song, ServiceError> {
        let song = self.ports().songs.find(id).await?;
        song.filter(|song| viewer.may_see(song)).ok_or(ServiceError::NO_SONG)
    }

    pub(super) async fn changeable(&self, viewer: Viewer, id: SongId) -> Result<Song, ServiceError> {
        let song = self.ports().songs.find(id).await?;
        song.filter(|song| viewer.may_change(song)).ok_or(ServiceError::NO_SONG)
    }

    /// Returns a song as viewers see it, with progress and queue position.
    pub(super) async fn view(&self, song: &Song) -> Result<SongView, ServiceError> {
        let mut view = SongView::from(song);
        match song.status().kind() {
            StatusKind::Splitting => view.progress = Some(self.percent(&song.target().key).await),
            StatusKind::Uploaded => {
                view.queue_position = self.positions(&[song.target().key]).await.into_iter().next().flatten();
            }
            StatusKind::Uploading | StatusKind::Split | StatusKind::Failed => {}
        }
        Ok(view)
    }
}

/// Hides what a share link does not reveal: who uploaded the song, and that user's labels.
fn shown_to(viewer: Viewer, mut view: SongView) -> SongView {
    if matches!(viewer, Viewer::Shared(_)) {
        (view.uploader_id, view.labels) = (None, None);
    }
    view
}
