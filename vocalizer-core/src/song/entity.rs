//! The song entity.

use time::OffsetDateTime;
use vocalizer_api::Provenance;
use vocalizer_api::id::UserId;
use vocalizer_api::model::ModelName;
use vocalizer_api::part::{Part, Stem, StemFormats};

use super::{
    FailureReason, IllegalTransition, Label, LabelChange, SongFacts, SongHash, SongId, Status, Target, Title,
    TooManyLabels, Transition,
};

/// What is known about the stems of a song. The default applies to results of original workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StemsInfo {
    /// The formats in which they are stored.
    pub formats: StemFormats,
    /// What made them; `None` if the worker did not say it.
    pub provenance: Option<Provenance>,
    /// The key under which they are stored; `None` as long as there are none.
    pub key: Option<SongHash>,
    /// The model that was asked for; `None` for the default of a server that knew one model only.
    pub model: Option<ModelName>,
    /// Their names; `None` for [`Stem::FOUR`].
    pub names: Option<Vec<Stem>>,
}

impl StemsInfo {
    /// The default.
    pub const MP3: Self = Self { formats: StemFormats::Mp3, provenance: None, key: None, model: None, names: None };

    /// Returns the names of the stems.
    #[must_use]
    pub fn names(&self) -> &[Stem] {
        self.names.as_deref().unwrap_or(&Stem::FOUR)
    }

    /// Returns the stems whose sum is the accompaniment; none if the model does not separate voices from the rest.
    #[must_use]
    pub fn accompaniment(&self) -> Vec<Stem> {
        let names = self.names();
        if names.contains(&Stem::INSTRUMENTAL) {
            return vec![Stem::INSTRUMENTAL];
        }
        let rest: Vec<_> = names.iter().copied().filter(|stem| !stem.is_vocal()).collect();
        if rest.len() < names.len() { rest } else { Vec::new() }
    }

    /// Returns the same as the result of a target.
    #[must_use]
    pub fn of(self, target: &Target) -> Self {
        Self { key: Some(target.key), model: target.model, ..self }
    }
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
    target: Target,
    stems: StemsInfo,
    facts: SongFacts,
    labels: Vec<Label>,
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
    /// What it is split with.
    pub target: Target,
    /// What is known of the stems that can be downloaded.
    pub stems: StemsInfo,
    /// What its file says about it.
    pub facts: SongFacts,
    /// Its labels, in the order of their keys.
    pub labels: Vec<Label>,
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
        let target = Target::default_of(hash);
        let (stems, facts) = (StemsInfo::MP3, SongFacts::UNKNOWN);
        Self {
            id,
            title,
            hash,
            uploader,
            uploaded_at,
            status: Status::Uploading,
            target,
            stems,
            facts,
            labels: Vec::new(),
        }
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

    /// Returns what the song is split with.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Sets what a new song is split with.
    #[must_use]
    pub fn with_target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Returns what its file says about it.
    #[must_use]
    pub const fn facts(&self) -> &SongFacts {
        &self.facts
    }

    /// Sets what the file of a new song says about it.
    #[must_use]
    pub fn with_facts(self, facts: SongFacts) -> Self {
        Self { facts, ..self }
    }

    /// Returns its labels, in the order of their keys.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Changes its labels.
    ///
    /// # Errors
    ///
    /// [`TooManyLabels`] if it would have more than [`Label::MOST`].
    pub fn relabel(&mut self, change: &LabelChange) -> Result<(), TooManyLabels> {
        let (LabelChange::Add(label) | LabelChange::Remove(label)) = change;
        let place = self.labels.binary_search_by_key(&label.key(), Label::key);
        match (change, place) {
            (LabelChange::Add(_), Err(_)) if self.labels.len() >= Label::MOST => return Err(TooManyLabels),
            (LabelChange::Add(_), Err(at)) => self.labels.insert(at, label.clone()),
            (LabelChange::Remove(_), Ok(at)) => drop(self.labels.remove(at)),
            (LabelChange::Add(_), Ok(_)) | (LabelChange::Remove(_), Err(_)) => {}
        }
        Ok(())
    }

    /// Splits the song again, with another target. Its stems remain until those of the target are stored.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] while the song is `UPLOADING`.
    pub fn split_again(&mut self, target: Target) -> Result<(), IllegalTransition> {
        self.apply(Transition::SplitAgain)?;
        self.target = target;
        Ok(())
    }

    /// Returns what is known of the stems that can be downloaded: those of the target once the song is `SPLIT`, before
    /// that those of an earlier one. Without a key there are none.
    #[must_use]
    pub const fn stems(&self) -> &StemsInfo {
        &self.stems
    }

    /// Returns the parts that can be downloaded now.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Song];
        let Some(key) = self.stems.key else { return parts };
        let wanted = |stem: &&Stem| key != self.target.key || self.target.wants(**stem);
        parts.extend(self.stems.names().iter().filter(wanted).map(|&stem| Part::Stem(stem)));
        parts.extend((!self.stems.accompaniment().is_empty()).then_some(Part::Accompaniment));
        parts
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
        let StoredSong { id, title, hash, uploader, uploaded_at, status, target, stems, facts, labels } = stored;
        Self { id, title, hash, uploader, uploaded_at, status, target, stems, facts, labels }
    }
}

impl From<Song> for StoredSong {
    fn from(song: Song) -> Self {
        let Song { id, title, hash, uploader, uploaded_at, status, target, stems, facts, labels } = song;
        Self { id, title, hash, uploader, uploaded_at, status, target, stems, facts, labels }
    }
}
