//! The song entity.

use time::OffsetDateTime;
use vocalizer_api::Provenance;
use vocalizer_api::id::UserId;
use vocalizer_api::part::StemFormats;

use super::{FailureReason, IllegalTransition, SongHash, SongId, Status, Title, Transition};

/// What is known about the stems of a song. The default applies to results of original workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StemsInfo {
    /// The formats in which they are stored.
    pub formats: StemFormats,
    /// What made them; `None` if the worker did not say it.
    pub provenance: Option<Provenance>,
}

impl StemsInfo {
    /// The default.
    pub const MP3: Self = Self { formats: StemFormats::Mp3, provenance: None };
}

/// An uploaded song.
///
/// Its ID and hash never change; its title may. Its status changes only through the transitions below; a transition
/// that the status does not allow is an error and leaves the song unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Song {
    id: SongId,
    title: Title,
    hash: SongHash,
    uploader: Option<UserId>,
    uploaded_at: OffsetDateTime,
    status: Status,
    stems: StemsInfo,
}

/// The stored fields of a song, to restore a [`Song`] from a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSong {
    /// The song's ID.
    pub id: SongId,
    /// The title.
    pub title: Title,
    /// The hash of the bytes.
    pub hash: SongHash,
    /// The uploader; `None` for an anonymous upload.
    pub uploader: Option<UserId>,
    /// When the upload began.
    pub uploaded_at: OffsetDateTime,
    /// The status.
    pub status: Status,
    /// What is known of the stems of a `SPLIT` song.
    pub stems: StemsInfo,
}

impl Song {
    /// Returns a new song with [`Status::Uploading`]. `uploader` is `None` for an anonymous upload.
    #[must_use]
    pub const fn begin(
        id: SongId,
        title: Title,
        hash: SongHash,
        uploader: Option<UserId>,
        uploaded_at: OffsetDateTime,
    ) -> Self {
        Self { id, title, hash, uploader, uploaded_at, status: Status::Uploading, stems: StemsInfo::MP3 }
    }

    /// Returns the song's ID.
    #[must_use]
    pub const fn id(&self) -> SongId {
        self.id
    }

    /// Returns the title.
    #[must_use]
    pub const fn title(&self) -> &Title {
        &self.title
    }

    /// Returns the hash of the bytes, which all uploads of the same bytes share.
    #[must_use]
    pub const fn hash(&self) -> &SongHash {
        &self.hash
    }

    /// Returns the uploader; `None` for an anonymous upload.
    #[must_use]
    pub const fn uploader(&self) -> Option<UserId> {
        self.uploader
    }

    /// Returns when the upload began.
    #[must_use]
    pub const fn uploaded_at(&self) -> OffsetDateTime {
        self.uploaded_at
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// Returns what is known of the stems; meaningless unless the song is `SPLIT`.
    #[must_use]
    pub const fn stems(&self) -> &StemsInfo {
        &self.stems
    }

    /// The bytes are stored.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADING`.
    pub fn finish_upload(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::FinishUpload)
    }

    /// A worker took a lease.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADED`.
    pub fn begin_splitting(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::BeginSplitting)
    }

    /// The lease expired or was returned.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn hand_back(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::HandBack)
    }

    /// The stems are stored.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn accept_stems(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::AcceptStems)
    }

    /// Splitting failed.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn fail(&mut self, reason: FailureReason) -> Result<(), IllegalTransition> {
        self.apply(Transition::Fail(reason))
    }

    /// The user does not want the stems any more.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADED` or `SPLITTING`.
    pub fn cancel(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::Cancel)
    }

    /// A retry was requested.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `FAILED`.
    pub fn retry(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::Retry)
    }

    /// The stems already exist; see [`Transition::ReuseStems`].
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADED`.
    pub fn reuse_stems(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::ReuseStems)
    }

    /// Changes the title.
    pub fn rename(&mut self, title: Title) {
        self.title = title;
    }

    /// Sets what is known of the stems.
    pub fn set_stems(&mut self, stems: StemsInfo) {
        self.stems = stems;
    }

    /// Applies a transition, such as one from the rules in [`dedupe`](crate::dedupe).
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] if [`Status::after`] rejects it; the song is then unchanged.
    pub fn apply(&mut self, transition: Transition) -> Result<(), IllegalTransition> {
        self.status = self.status.after(transition)?;
        Ok(())
    }
}

impl From<StoredSong> for Song {
    /// For stores only: other code creates songs with [`Song::begin`].
    fn from(stored: StoredSong) -> Self {
        let StoredSong { id, title, hash, uploader, uploaded_at, status, stems } = stored;
        Self { id, title, hash, uploader, uploaded_at, status, stems }
    }
}

impl From<Song> for StoredSong {
    fn from(song: Song) -> Self {
        let Song { id, title, hash, uploader, uploaded_at, status, stems } = song;
        Self { id, title, hash, uploader, uploaded_at, status, stems }
    }
}
