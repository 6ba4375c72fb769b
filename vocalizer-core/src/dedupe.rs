//! Deduplication: two uploads of the same file are two songs with one stored source and one set of stems.
//!
//! The rules are pure functions of what the repository returns. The caller ensures that this is still true (see
//! [`SongRepository::remove`](crate::ports::SongRepository::remove)).

use crate::song::{FailureReason, IllegalTransition, Song, Status, StatusKind, StemsInfo, Transition};

/// What to do with a song that waits to be split: a new upload whose bytes are stored, or a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadPlan {
    /// No job exists for these bytes: enqueue one and leave the song `UPLOADED`.
    Enqueue,
    /// A job for these bytes is queued, and its result updates every song with the hash: leave the song `UPLOADED`.
    AwaitOther,
    /// A worker is splitting these bytes, and its result updates every song with the hash: set the song to `SPLITTING`.
    JoinWork,
    /// The stems exist: set the song to `SPLIT` with [`Transition::ReuseStems`].
    ReuseStems,
}

impl UploadPlan {
    /// The transitions that take an `UPLOADED` song to the planned status.
    #[must_use]
    pub const fn transitions(self) -> &'static [Transition] {
        match self {
            Self::Enqueue | Self::AwaitOther => &[],
            Self::JoinWork => &[Transition::BeginSplitting],
            Self::ReuseStems => &[Transition::ReuseStems],
        }
    }

    /// Applies the transitions to an `UPLOADED` song. If it reuses stems, it takes what is known of them from the `SPLIT`
    /// one of the other songs with its hash and key.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] if the song is not `UPLOADED`.
    pub fn apply<'a>(
        self,
        song: &mut Song,
        others: impl IntoIterator<Item = &'a Song>,
    ) -> Result<(), IllegalTransition> {
        self.transitions().iter().try_for_each(|step| song.apply(step.clone()))?;
        if self == Self::ReuseStems
            && let Some(other) = others.into_iter().find(|other| other.status() == &Status::Split)
        {
            song.set_stems(other.stems().clone());
        }
        Ok(())
    }
}

/// Plans the processing of an `UPLOADED` song and applies it, given the *other* songs with its hash, and the stored results
/// of its [key](crate::song::Target::key) if there are any.
///
/// # Errors
///
/// [`IllegalTransition`] if the song is not `UPLOADED`.
pub fn settle(song: &mut Song, others: &[&Song], results: Option<StemsInfo>) -> Result<UploadPlan, IllegalTransition> {
    if let Some(results) = results {
        UploadPlan::ReuseStems.apply(song, [])?;
        song.set_stems(results);
        return Ok(UploadPlan::ReuseStems);
    }
    let key = song.target().key;
    let same_work = || others.iter().copied().filter(move |other| other.target().key == key);
    let plan = on_upload(same_work().map(Song::status));
    plan.apply(song, same_work())?;
    Ok(plan)
}

/// Decides what to do with a new upload or a retry, given the statuses of all *other* songs with the same hash and the same
/// model.
///
/// Songs that are `UPLOADING` are ignored: their upload may never finish, and a second job for a hash only costs time,
/// while a missing one leaves a song stuck. `FAILED` songs are ignored too: uploading again is a retry.
///
/// ```
/// use vocalizer_core::dedupe::{UploadPlan, on_upload};
/// use vocalizer_core::song::Status;
///
/// assert_eq!(on_upload([]), UploadPlan::Enqueue);
/// // Another user has uploaded the same file.
/// assert_eq!(on_upload([&Status::Splitting]), UploadPlan::JoinWork);
/// assert_eq!(on_upload([&Status::Split]), UploadPlan::ReuseStems);
/// ```
#[must_use]
pub fn on_upload<'a>(others: impl IntoIterator<Item = &'a Status>) -> UploadPlan {
    others.into_iter().fold(UploadPlan::Enqueue, |plan, other| match (other.kind(), plan) {
        (StatusKind::Split, _) | (_, UploadPlan::ReuseStems) => UploadPlan::ReuseStems,
        (StatusKind::Splitting, _) | (_, UploadPlan::JoinWork) => UploadPlan::JoinWork,
        (StatusKind::Uploaded, _) => UploadPlan::AwaitOther,
        (StatusKind::Uploading | StatusKind::Failed, plan) => plan,
    })
}

/// What to do with the source and the stems when a song is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobFate {
    /// Another song has the same bytes: keep everything.
    Keep,
    /// It was the last one: delete the source and all stems.
    Delete,
}

/// Decides what to do with the blobs of a deleted song, given how many *other* songs have its hash, in any status.
#[must_use]
pub const fn on_delete(others_with_hash: u64) -> BlobFate {
    if others_with_hash == 0 { BlobFate::Delete } else { BlobFate::Keep }
}

/// The transitions that take a song to `SPLIT` once the stems of its hash are stored; apply them in order.
///
/// A result updates every song with its hash. A `SPLIT` song needs nothing, an `UPLOADING` song gets the stems in
/// [`on_upload`], and a cancelled one gets them when it is retried.
#[must_use]
pub fn on_result(status: &Status) -> &'static [Transition] {
    const FROM_UPLOADED: &[Transition] = &[Transition::ReuseStems];
    const FROM_SPLITTING: &[Transition] = &[Transition::AcceptStems];
    const FROM_FAILED: &[Transition] = &[Transition::Retry, Transition::ReuseStems];
    match status {
        Status::Uploading | Status::Split => &[],
        Status::Uploaded => FROM_UPLOADED,
        Status::Splitting => FROM_SPLITTING,
        Status::Failed { .. } if status.is_cancelled() => &[],
        Status::Failed { .. } => FROM_FAILED,
    }
}

/// The transitions that take a song to `FAILED` once the bytes of its hash are known to be unsplittable; apply them in
/// order.
///
/// This includes songs that wait for another song's job ([`UploadPlan::AwaitOther`]): there will be no other job, so
/// they would wait forever. A `SPLIT` song keeps its stems.
#[must_use]
pub fn on_failure(status: &Status, reason: &FailureReason) -> Vec<Transition> {
    match status {
        Status::Uploading | Status::Split | Status::Failed { .. } => Vec::new(),
        Status::Uploaded => vec![Transition::BeginSplitting, Transition::Fail(reason.clone())],
        Status::Splitting => vec![Transition::Fail(reason.clone())],
    }
}

/// An event that affects all songs with the same hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are only a few at a time")]
pub enum Advance {
    /// A worker took a lease.
    Begin,
    /// The lease expired or was returned.
    HandBack,
    /// The stems are stored.
    Finish(StemsInfo),
    /// The bytes cannot be split.
    Fail(FailureReason),
}

impl Advance {
    /// The stems of an original worker are stored: MP3, with nothing known of their origin.
    pub const FINISH_MP3: Self = Self::Finish(StemsInfo::MP3);

    /// Applies this event to a song with the hash. Returns whether it changed.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`]; the rules never cause it.
    pub fn apply(&self, song: &mut Song) -> Result<bool, IllegalTransition> {
        let transitions = self.transitions(song.status());
        let changes = !transitions.is_empty();
        transitions.into_iter().try_for_each(|step| song.apply(step))?;
        if let (Self::Finish(stems), true) = (self, changes) {
            song.set_stems(stems.clone().of(&song.target().clone()));
        }
        Ok(changes)
    }

    /// The transitions of a song in `status`; apply them in order.
    #[must_use]
    pub fn transitions(&self, status: &Status) -> Vec<Transition> {
        match (self, status) {
            (Self::Begin, Status::Uploaded) => vec![Transition::BeginSplitting],
            (Self::HandBack, Status::Splitting) => vec![Transition::HandBack],
            (Self::Begin | Self::HandBack, _) => Vec::new(),
            (Self::Finish(_), status) => on_result(status).to_vec(),
            (Self::Fail(reason), status) => on_failure(status, reason),
        }
    }
}
