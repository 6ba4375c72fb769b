//! The song itself.

use time::OffsetDateTime;

use super::{FailureReason, IllegalTransition, SongHash, SongId, Status, Title, Transition};
use crate::account::UserId;

/// A song somebody uploaded.
///
/// What identifies it never changes, its title may. Its status changes through the transitions below and in no other way; a transition
/// that its status does not allow is an error and leaves it as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Song {
    id: SongId,
    title: Title,
    hash: SongHash,
    uploader: Option<UserId>,
    uploaded_at: OffsetDateTime,
    status: Status,
}

/// The fields of a song as a store keeps them: the way back from a row to a [`Song`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSong {
    /// Which song.
    pub id: SongId,
    /// What it is called.
    pub title: Title,
    /// The hash of its bytes.
    pub hash: SongHash,
    /// Who uploaded it; `None` for an anonymous upload.
    pub uploader: Option<UserId>,
    /// When the upload began.
    pub uploaded_at: OffsetDateTime,
    /// Where it is in its life.
    pub status: Status,
}

impl Song {
    /// A new song, in [`Status::Uploading`]. `uploader` is `None` for an anonymous upload.
    #[must_use]
    pub const fn begin(
        id: SongId,
        title: Title,
        hash: SongHash,
        uploader: Option<UserId>,
        uploaded_at: OffsetDateTime,
    ) -> Self {
        Self { id, title, hash, uploader, uploaded_at, status: Status::Uploading }
    }

    /// Which song.
    #[must_use]
    pub const fn id(&self) -> SongId {
        self.id
    }

    /// What it is called.
    #[must_use]
    pub const fn title(&self) -> &Title {
        &self.title
    }

    /// The hash of its bytes, shared with every other upload of the same bytes.
    #[must_use]
    pub const fn hash(&self) -> &SongHash {
        &self.hash
    }

    /// Who uploaded it; `None` for an anonymous upload.
    #[must_use]
    pub const fn uploader(&self) -> Option<UserId> {
        self.uploader
    }

    /// When the upload began.
    #[must_use]
    pub const fn uploaded_at(&self) -> OffsetDateTime {
        self.uploaded_at
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// Its bytes are safely stored.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADING`.
    pub fn finish_upload(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::FinishUpload)
    }

    /// A worker took a lease on it.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADED`.
    pub fn begin_splitting(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::BeginSplitting)
    }

    /// The lease ran out, or the worker gave it back.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn hand_back(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::HandBack)
    }

    /// Its stems came in and are stored.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn accept_stems(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::AcceptStems)
    }

    /// It cannot be split.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `SPLITTING`.
    pub fn fail(&mut self, reason: FailureReason) -> Result<(), IllegalTransition> {
        self.apply(Transition::Fail(reason))
    }

    /// Somebody asks to try once more.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `FAILED`.
    pub fn retry(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::Retry)
    }

    /// The stems of its bytes are there already; see [`Transition::ReuseStems`].
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the song is `UPLOADED`.
    pub fn reuse_stems(&mut self) -> Result<(), IllegalTransition> {
        self.apply(Transition::ReuseStems)
    }

    /// Gives it another title.
    pub fn rename(&mut self, title: Title) {
        self.title = title;
    }

    /// Applies a transition held as a value, as the rules in [`dedupe`](crate::dedupe) hand them out.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when [`Status::after`] refuses; the song is then unchanged.
    pub fn apply(&mut self, transition: Transition) -> Result<(), IllegalTransition> {
        self.status = self.status.after(transition)?;
        Ok(())
    }
}

impl From<StoredSong> for Song {
    /// For stores alone: everything else begins a song with [`Song::begin`].
    fn from(stored: StoredSong) -> Self {
        let StoredSong { id, title, hash, uploader, uploaded_at, status } = stored;
        Self { id, title, hash, uploader, uploaded_at, status }
    }
}

impl From<Song> for StoredSong {
    fn from(song: Song) -> Self {
        let Song { id, title, hash, uploader, uploaded_at, status } = song;
        Self { id, title, hash, uploader, uploaded_at, status }
    }
}
