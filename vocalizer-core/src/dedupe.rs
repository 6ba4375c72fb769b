//! What equal bytes share: two people who upload the same file have two songs, one stored source and one set of stems.
//!
//! The rules are pure functions over what the repository says; whoever calls them makes sure that what it said still
//! holds (see [`SongRepository::remove`](crate::ports::SongRepository::remove)).

use crate::song::{FailureReason, Status, StatusKind, Transition};

/// What becomes of a song that now waits to be split: a new upload whose bytes are safely stored, or a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadPlan {
    /// Nobody is working on these bytes: put a job on the queue and leave the song `UPLOADED`.
    Enqueue,
    /// A job for these bytes is on its way and its result reaches every song with the hash: leave the song `UPLOADED`.
    AwaitOther,
    /// A worker is at these bytes and its result reaches every song with the hash: the song is `SPLITTING` like the others.
    JoinWork,
    /// The stems are there: take the song to `SPLIT` with [`Transition::ReuseStems`].
    ReuseStems,
}

impl UploadPlan {
    /// What takes a song that is `UPLOADED` to where the plan wants it.
    #[must_use]
    pub const fn transitions(self) -> &'static [Transition] {
        match self {
            Self::Enqueue | Self::AwaitOther => &[],
            Self::JoinWork => &[Transition::BeginSplitting],
            Self::ReuseStems => &[Transition::ReuseStems],
        }
    }
}

/// Decides what becomes of a new upload or a retry, given the status of every *other* song with the same hash.
///
/// A song that is still `UPLOADING` counts for nothing: its upload may never finish, and a second job for the same hash
/// costs time where a missing one would leave a song stuck. Neither does a `FAILED` one: uploading again is asking again.
#[must_use]
pub fn on_upload<'a>(others: impl IntoIterator<Item = &'a Status>) -> UploadPlan {
    others.into_iter().fold(UploadPlan::Enqueue, |plan, other| match (other.kind(), plan) {
        (StatusKind::Split, _) | (_, UploadPlan::ReuseStems) => UploadPlan::ReuseStems,
        (StatusKind::Splitting, _) | (_, UploadPlan::JoinWork) => UploadPlan::JoinWork,
        (StatusKind::Uploaded, _) => UploadPlan::AwaitOther,
        (StatusKind::Uploading | StatusKind::Failed, plan) => plan,
    })
}

/// What becomes of the source file and the stems when a song is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobFate {
    /// Another song has the same bytes: everything stays.
    Keep,
    /// It was the last one: the source and all stems go.
    Delete,
}

/// Decides what deleting a song takes along, given how many *other* songs have its hash, in whatever status.
#[must_use]
pub const fn on_delete(others_with_hash: u64) -> BlobFate {
    if others_with_hash == 0 { BlobFate::Delete } else { BlobFate::Keep }
}

/// The transitions that take a song to `SPLIT` once the stems of its hash are stored; apply them in order.
///
/// A result reaches every song with its hash, whatever each of them was waiting for. Nothing is left to do for one that
/// is `SPLIT`, and nothing may be done yet for one that is `UPLOADING`: it meets the stems in [`on_upload`].
#[must_use]
pub const fn on_result(status: &Status) -> &'static [Transition] {
    const FROM_UPLOADED: &[Transition] = &[Transition::ReuseStems];
    const FROM_SPLITTING: &[Transition] = &[Transition::AcceptStems];
    const FROM_FAILED: &[Transition] = &[Transition::Retry, Transition::ReuseStems];
    match status {
        Status::Uploading | Status::Split => &[],
        Status::Uploaded => FROM_UPLOADED,
        Status::Splitting => FROM_SPLITTING,
        Status::Failed { .. } => FROM_FAILED,
    }
}

/// The transitions that take a song to `FAILED` once the bytes of its hash are known to be impossible to split; apply them
/// in order.
///
/// This reaches the songs that were waiting for another one's job ([`UploadPlan::AwaitOther`]) as well: no other job will
/// come for them, so leaving them `UPLOADED` would leave them waiting for ever. A song that is `SPLIT` keeps its stems.
#[must_use]
pub fn on_failure(status: &Status, reason: &FailureReason) -> Vec<Transition> {
    match status {
        Status::Uploading | Status::Split | Status::Failed { .. } => Vec::new(),
        Status::Uploaded => vec![Transition::BeginSplitting, Transition::Fail(reason.clone())],
        Status::Splitting => vec![Transition::Fail(reason.clone())],
    }
}

/// What befalls every song with a hash at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// A worker took a lease.
    Begin,
    /// The lease ran out or was given back.
    HandBack,
    /// The stems are stored.
    Finish,
    /// The bytes cannot be split.
    Fail(FailureReason),
}

impl Advance {
    /// The transitions that this means for a song in `status`; apply them in order.
    #[must_use]
    pub fn transitions(&self, status: &Status) -> Vec<Transition> {
        match (self, status) {
            (Self::Begin, Status::Uploaded) => vec![Transition::BeginSplitting],
            (Self::HandBack, Status::Splitting) => vec![Transition::HandBack],
            (Self::Begin | Self::HandBack, _) => Vec::new(),
            (Self::Finish, status) => on_result(status).to_vec(),
            (Self::Fail(reason), status) => on_failure(status, reason),
        }
    }
}
