//! Songs: listed, found, renamed, deleted, retried.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event_listener::EventListener;

use super::ServiceError;
use super::board::Board;
use super::relay::Relay;
use super::renderings::{RenderingSettings, Renderings};
use crate::account::Viewer;
use crate::api::SongView;
use crate::causes::chain;
use crate::dedupe::{BlobFate, on_delete};
use crate::limits::Limits;
use crate::ports::{
    AudioProbe, BlobStore, Clock, Commons, Cursor, Heard, JobQueue, JobState, Renderer, RepositoryError, ResultReader,
    SongQuery, SongRepository, Space,
};
use crate::quota::{AddressKey, Quota, Uploader};
use crate::secret::Secret;
use crate::song::{Song, SongHash, SongId, StatusKind, Title};

/// How many songs of a list are told their place in the queue: each is a question to the queue.
const MOST_POSITIONS: usize = 100;

/// Most songs that an answer lists, and as many as it lists where nothing is said. With more the store would be busy with
/// one answer for too long, and the answer would have megabytes.
pub const MAX_PAGE: u32 = 1000;

/// How many of the newest songs are watched, of those that wait, and of those that are split.
pub const MOST_WATCHED: u32 = 200;

/// The reserve of free space, where 5 % of the disk are more.
const MIN_FREE_BYTES: u64 = 1024 * 1024 * 1024;

/// What the service stands on.
#[derive(Clone)]
pub struct SongPorts {
    /// Songs and the outbox.
    pub songs: Arc<dyn SongRepository>,
    /// What servers agree on beside.
    pub commons: Arc<dyn Commons>,
    /// Their bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// The way to the workers.
    pub queue: Arc<dyn JobQueue>,
    /// Looks into uploads.
    pub probe: Arc<dyn AudioProbe>,
    /// Makes other formats.
    pub renderer: Arc<dyn Renderer>,
    /// Reads what workers send.
    pub results: Arc<dyn ResultReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How the service is set.
#[derive(Debug, Clone, Copy)]
pub struct SongSettings {
    /// The bounds on what comes in.
    pub limits: Limits,
    /// What to tell those who ask for stems that are not there yet. Default: 5 s.
    pub retry_after: Duration,
    /// After so long without a word from its worker a song is taken for abandoned, where the queue cannot tell. Default:
    /// 10 minutes; workers report every second.
    pub silent_after: Duration,
    /// After so long without a worker a job is asked for again, where the queue cannot tell and is empty. Default: an
    /// hour; workers of the original system do not report at all.
    pub lost_after: Duration,
    /// After so long without a worker a job is asked for again, where the queue cannot tell, whatever waits in it: brokers
    /// lose messages, too. Default: 6 hours. A song that still waits then is split once more at worst.
    pub ask_again_after: Duration,
    /// Uploads are refused while the disk of the blobs or that of the database has less free space than this. Default
    /// (`None`): 1 GiB, or 5 % of the disk where that is less.
    pub min_free_bytes: Option<u64>,
    /// A sweep keeps bytes without a song for so long. Default: one day.
    pub keep_orphans: Duration,
    /// How other formats, mixes and peaks are made, and how many of them are kept.
    pub renderings: RenderingSettings,
    /// Who may upload, and how much.
    pub uploads: UploadPolicy,
    /// How long songs are kept.
    pub retention: Retention,
}

/// Who may upload, and how much.
#[derive(Debug, Clone, Copy)]
pub struct UploadPolicy {
    /// Whether one may upload without a session. Default: yes.
    pub anonymous: bool,
    /// What each user may do. Default: without a limit.
    pub per_user: Quota,
    /// What those without a session may do at each address, where /64 of IPv6 is one. Default: without a limit.
    pub per_address: Quota,
    /// What addresses are hashed with. Default: made of the empty text, which hides nothing.
    pub address_key: AddressKey,
}

impl Default for UploadPolicy {
    fn default() -> Self {
        let address_key = AddressKey::new(&Secret::new(String::new()));
        Self { anonymous: true, per_user: Quota::default(), per_address: Quota::default(), address_key }
    }
}

impl UploadPolicy {
    /// The uploader whose quota an upload counts towards, and that quota. Without an uploader where an anonymous address is
    /// not known: such uploads are not counted.
    pub(super) fn uploader(&self, viewer: Viewer, address: Option<IpAddr>) -> (Option<Uploader>, Quota) {
        match viewer {
            Viewer::User(id) => (Some(Uploader::User(id)), self.per_user),
            Viewer::Anonymous => {
                (address.map(|address| Uploader::Address(self.address_key.digest(address))), self.per_address)
            }
        }
    }
}

/// How long songs are kept that are split or failed. `None`, the default of both, is for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// All songs.
    pub all: Option<Duration>,
    /// Those that were uploaded without a session.
    pub anonymous: Option<Duration>,
}

impl Default for SongSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retry_after: Duration::from_secs(5),
            silent_after: Duration::from_secs(10 * 60),
            lost_after: Duration::from_secs(60 * 60),
            ask_again_after: Duration::from_secs(6 * 60 * 60),
            min_free_bytes: None,
            keep_orphans: Duration::from_secs(24 * 60 * 60),
            renderings: RenderingSettings::default(),
            uploads: UploadPolicy::default(),
            retention: Retention::default(),
        }
    }
}

/// The songs of Vocalizer. Clones are handles to the same service.
#[derive(Clone)]
pub struct SongService {
    inner: Arc<Inner>,
}

struct Inner {
    ports: SongPorts,
    settings: SongSettings,
    relaying: Relay,
    renderings: Renderings,
    board: Board,
}

/// Which songs to list, and how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only songs in this status.
    pub status: Option<StatusKind>,
    /// Only those after this place.
    pub after: Option<Cursor>,
    /// At most so many, and never more than [`MAX_PAGE`], which `None` stands for.
    pub limit: Option<u32>,
    /// With what clients of the original know nothing of: [`SongView::uploaded_at`].
    pub details: bool,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SongPage {
    /// The songs.
    pub songs: Vec<SongView>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl SongService {
    /// A service over these ports.
    #[must_use]
    pub fn new(ports: SongPorts, settings: SongSettings) -> Self {
        let renderings = Renderings::new(&settings.renderings, &ports.clock);
        let (relaying, board) = (Relay::default(), Board::new());
        Self { inner: Arc::new(Inner { ports, settings, relaying, renderings, board }) }
    }

    pub(super) fn ports(&self) -> &SongPorts {
        &self.inner.ports
    }

    pub(super) fn relaying(&self) -> &Relay {
        &self.inner.relaying
    }

    pub(super) fn made(&self) -> &Renderings {
        &self.inner.renderings
    }

    pub(super) fn board(&self) -> &Board {
        &self.inner.board
    }

    /// How the service is set.
    #[must_use]
    pub fn settings(&self) -> &SongSettings {
        &self.inner.settings
    }

    /// The queue, for those who watch it.
    #[must_use]
    pub fn queue(&self) -> &Arc<dyn JobQueue> {
        &self.inner.ports.queue
    }

    /// The store, for those who watch it.
    #[must_use]
    pub fn repository(&self) -> &Arc<dyn SongRepository> {
        &self.inner.ports.songs
    }

    /// The time, for those who wait beside the service.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.ports.clock
    }

    /// Whether the store of the songs' bytes answers, and takes bytes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Full`] or [`ServiceError::Unavailable`].
    pub async fn check_storage(&self) -> Result<(), ServiceError> {
        let blobs = &self.ports().blobs;
        blobs.check().await?;
        let mut writer = blobs.begin().await?;
        writer.write(Bytes::from_static(b"ready?")).await?;
        // Writers collect bytes; this sends them to the disk.
        writer.local_file().await?;
        Ok(())
    }

    /// Whether the disks have room for uploads and for what is made of them. The rest goes on without: the reserve is for that.
    pub(super) async fn check_room(&self) -> Result<(), ServiceError> {
        let SongPorts { blobs, songs, .. } = self.ports();
        for (what, space) in [("blobs", blobs.space().await?), ("database", songs.space().await?)] {
            let Some(Space { free_bytes, total_bytes }) = space else { continue };
            let reserve_bytes = self.settings().min_free_bytes.unwrap_or(MIN_FREE_BYTES.min(total_bytes / 20));
            if free_bytes < reserve_bytes {
                tracing::warn!(what, free_bytes, reserve_bytes, "refused: the disk has too little free space");
                return Err(ServiceError::Full);
            }
        }
        Ok(())
    }

    /// A page of the songs that a viewer may see, newest first.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn list(&self, viewer: Viewer, listing: Listing) -> Result<SongPage, ServiceError> {
        let Listing { status, after, limit, details } = listing;
        let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        // One more than asked for tells whether there is more.
        let query = SongQuery { viewer, status, after, limit: Some(limit + 1) };
        let mut songs = self.ports().songs.list(&query).await?;
        let mut next = None;
        if songs.len() > limit as usize {
            songs.truncate(limit as usize);
            next = songs.last().map(Cursor::of);
        }
        let waits = |song: &&Song| song.status().kind() == StatusKind::Uploaded;
        let waiting: Vec<_> = songs.iter().filter(waits).take(MOST_POSITIONS).map(|song| *song.hash()).collect();
        let mut positions = self.positions(&waiting).await.into_iter();
        let mut views = Vec::with_capacity(songs.len());
        for song in &songs {
            let view = match waits(&song) {
                true => SongView { queue_position: positions.next().flatten(), ..SongView::from(song) },
                false => self.view(song).await?,
            };
            views.push(if details { view.with_details(song) } else { view });
        }
        Ok(SongPage { songs: views, next })
    }

    /// A song.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn song(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        self.view(&self.visible(viewer, id).await?).await
    }

    /// Listens for changes of a song, from before it is looked at, so that none is missed in between.
    ///
    /// # Errors
    ///
    /// As [`Self::song`].
    pub async fn watch(&self, viewer: Viewer, id: SongId) -> Result<(EventListener, SongView), ServiceError> {
        let song = self.visible(viewer, id).await?;
        let changed = self.board().listen(song.hash());
        // Looked at again: it may have changed before the listening began.
        Ok((changed, self.song(viewer, id).await?))
    }

    /// Listens for changes of all songs that a viewer may see, from before they are looked at; beside the listener what
    /// there is to watch, with details: the newest, and those that wait or are split, at most [`MOST_WATCHED`] of each.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn watch_all(&self, viewer: Viewer) -> Result<(EventListener, Vec<SongView>), ServiceError> {
        let changed = self.board().listen_for_any();
        let mut songs = Vec::new();
        for status in [None, Some(StatusKind::Uploaded), Some(StatusKind::Splitting)] {
            let listing = Listing { status, limit: Some(MOST_WATCHED), details: true, ..Listing::default() };
            let mut page = self.list(viewer, listing).await?;
            songs.append(&mut page.songs);
            // Those are all, whatever their status.
            if status.is_none() && page.next.is_none() {
                break;
            }
        }
        Ok((changed, songs))
    }

    /// A song with details.
    ///
    /// # Errors
    ///
    /// As [`Self::song`].
    pub async fn song_in_detail(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        let song = self.visible(viewer, id).await?;
        Ok(self.view(&song).await?.with_details(&song))
    }

    /// Gives a song another title.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the title, and those of [`Self::song`].
    pub async fn rename(&self, viewer: Viewer, id: SongId, title: &str) -> Result<SongView, ServiceError> {
        self.visible(viewer, id).await?;
        let title = Title::parse(title, self.settings().limits.max_title_chars)
            .map_err(|error| ServiceError::invalid("title", error))?;
        let song = self.ports().songs.rename(id, &title).await?.ok_or(ServiceError::NO_SONG)?;
        self.board().announce(song.hash());
        self.view(&song).await
    }

    /// Asks to split a song that failed once more.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when it has not failed, and those of [`Self::song`].
    pub async fn retry(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        self.visible(viewer, id).await?;
        let song = self.ports().songs.retry(id).await.map_err(|error| match error {
            RepositoryError::Conflict => {
                ServiceError::Conflict { message: "only a song that failed can be retried", field: None }
            }
            other => other.into(),
        })?;
        let song = song.ok_or(ServiceError::NO_SONG)?;
        self.relay_soon().await;
        self.board().announce(song.hash());
        self.view(&song).await
    }

    /// Deletes a song; with the last song of a hash its file and its stems go, and work on it stops.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], so of two calls the second ends here; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn delete(&self, viewer: Viewer, id: SongId) -> Result<(), ServiceError> {
        let song = self.visible(viewer, id).await?;
        if !viewer.may_delete(&song) {
            return Err(ServiceError::NO_SONG);
        }
        let hash = *song.hash();
        let _stays = self.ports().commons.lock(&hash).await?;
        if self.remove_locked(id).await? { Ok(()) } else { Err(ServiceError::NO_SONG) }
    }

    /// Removes a song whose hash is locked, and says whether there was one.
    pub(super) async fn remove_locked(&self, id: SongId) -> Result<bool, ServiceError> {
        let Some(removed) = self.ports().songs.remove(id).await? else { return Ok(false) };
        let hash = *removed.song.hash();
        tracing::info!(song = %id, %hash, others = removed.others_with_hash, "deleted");
        match on_delete(removed.others_with_hash) {
            BlobFate::Keep => self.board().announce(&hash),
            BlobFate::Delete => {
                // The song is gone in any case; a worker that comes late is told less then.
                if let Err(error) = self.ports().commons.bury(&hash, self.ports().clock.now()).await {
                    tracing::warn!(%hash, error = chain(&error), "a deleted song is not remembered");
                }
                self.board().announce(&hash);
                // The song is gone in any case; what is left of its bytes is the sweep's.
                if let Err(error) = self.delete_bytes(&hash).await {
                    tracing::warn!(%hash, error = chain(&error), "the bytes of a deleted song are still there");
                }
                self.made().cache.forget(&hash);
            }
        }
        Ok(true)
    }

    /// Deletes what is stored of a hash, unless the lock was lost: somebody may be storing these bytes by now.
    pub(super) async fn delete_bytes(&self, hash: &SongHash) -> Result<(), ServiceError> {
        if self.ports().commons.renew(hash).await? {
            self.ports().blobs.delete_all(hash).await?;
        }
        Ok(())
    }

    pub(super) async fn visible(&self, viewer: Viewer, id: SongId) -> Result<Song, ServiceError> {
        let song = self.ports().songs.find(id).await?;
        song.filter(|song| viewer.may_see(song)).ok_or(ServiceError::NO_SONG)
    }

    /// A song as its viewers see it, with how far it is.
    pub(super) async fn view(&self, song: &Song) -> Result<SongView, ServiceError> {
        let mut view = SongView::from(song);
        match song.status().kind() {
            StatusKind::Splitting => view.progress = Some(self.percent(song.hash()).await),
            StatusKind::Uploaded => {
                view.queue_position = self.positions(&[*song.hash()]).await.into_iter().next().flatten();
            }
            StatusKind::Uploading | StatusKind::Split | StatusKind::Failed => {}
        }
        Ok(view)
    }

    /// How far the work on a hash is; that nobody can say so is no reason to keep the song from its owner.
    async fn percent(&self, hash: &SongHash) -> u8 {
        match self.ports().commons.heard(hash).await {
            Ok(heard) => heard.map_or(0, |heard| heard.percent),
            Err(error) => {
                tracing::warn!(error = chain(&error), "nobody says how far a song is");
                0
            }
        }
    }

    /// Something was heard of the work on a hash.
    pub(super) async fn hear(&self, hash: &SongHash, percent: u8) -> Result<(), RepositoryError> {
        let at = self.ports().clock.now();
        self.ports().commons.hear(hash, Heard { percent: percent.min(100), at }).await?;
        self.board().announce(hash);
        Ok(())
    }

    /// Nobody works on a hash any more.
    pub(super) async fn rest(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.ports().commons.rest(hash).await?;
        self.board().announce(hash);
        Ok(())
    }

    /// How many jobs come before each; a queue that does not answer is no reason to keep songs from their owner.
    async fn positions(&self, hashes: &[SongHash]) -> Vec<Option<u64>> {
        let told = match self.ports().queue.states(hashes).await {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the queue does not say where a job is");
                Vec::new()
            }
        };
        let before = |state: JobState| if let JobState::Waiting { before } = state { Some(before) } else { None };
        told.into_iter().map(before).collect()
    }
}
