//! The life of a song as a state machine.
//!
//! ```text
//!                               reuse stems
//!                       ┌───────────────────────────┐
//!            finish     │    begin          accept  ▼
//! UPLOADING ────────▶ UPLOADED ─────▶ SPLITTING ──▶ SPLIT
//!                       ▲  ▲  hand back  │  │
//!                       │  └─────────────┘  │ fail
//!                       │       retry       ▼
//!                       └──────────────── FAILED
//! ```

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::title::steers;

/// Where a song is in its life.
///
/// `NOT_FOUND` is missing on purpose: it is an answer about a song that is not there, so no song can be in it. It exists
/// on the wire alone, as [`SongStatus::NotFound`](crate::api::SongStatus::NotFound).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// All bytes have come in and are hashed; they are not safely stored yet.
    Uploading,
    /// Stored, and waiting to be split.
    Uploaded,
    /// A worker holds a lease on it.
    Splitting,
    /// Its stems are there.
    Split,
    /// It could not be split.
    Failed {
        /// What to tell the uploader.
        reason: FailureReason,
    },
}

impl Status {
    /// The status without its reason.
    #[must_use]
    pub const fn kind(&self) -> StatusKind {
        match self {
            Self::Uploading => StatusKind::Uploading,
            Self::Uploaded => StatusKind::Uploaded,
            Self::Splitting => StatusKind::Splitting,
            Self::Split => StatusKind::Split,
            Self::Failed { .. } => StatusKind::Failed,
        }
    }

    /// Why splitting failed, where it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&FailureReason> {
        match self {
            Self::Failed { reason } => Some(reason),
            _ => None,
        }
    }

    /// Reads a status back from the two columns a store keeps; a reason beside any other kind than
    /// [`StatusKind::Failed`] is dropped, and a failure without one gets [`FailureReason::UNKNOWN`].
    #[must_use]
    pub fn from_stored(kind: StatusKind, reason: Option<&str>) -> Self {
        match kind {
            StatusKind::Uploading => Self::Uploading,
            StatusKind::Uploaded => Self::Uploaded,
            StatusKind::Splitting => Self::Splitting,
            StatusKind::Split => Self::Split,
            StatusKind::Failed => Self::Failed { reason: FailureReason::new(reason.unwrap_or_default()) },
        }
    }

    /// The status after `transition`. This table is the whole state machine; there is no other door.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the table has no such entry.
    pub fn after(&self, transition: Transition) -> Result<Self, IllegalTransition> {
        match (self, transition) {
            (Self::Uploading, Transition::FinishUpload) => Ok(Self::Uploaded),
            (Self::Uploaded, Transition::BeginSplitting) => Ok(Self::Splitting),
            (Self::Uploaded, Transition::ReuseStems) => Ok(Self::Split),
            (Self::Splitting, Transition::HandBack) => Ok(Self::Uploaded),
            (Self::Splitting, Transition::AcceptStems) => Ok(Self::Split),
            (Self::Splitting, Transition::Fail(reason)) => Ok(Self::Failed { reason }),
            (Self::Failed { .. }, Transition::Retry) => Ok(Self::Uploaded),
            (_, transition) => Err(IllegalTransition { from: self.kind(), transition: transition.name() }),
        }
    }
}

/// The bare name of a [`Status`]: what a store indexes and a log line prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKind {
    /// See [`Status::Uploading`].
    Uploading,
    /// See [`Status::Uploaded`].
    Uploaded,
    /// See [`Status::Splitting`].
    Splitting,
    /// See [`Status::Split`].
    Split,
    /// See [`Status::Failed`].
    Failed,
}

impl StatusKind {
    /// Every kind, in the order of a song's life.
    pub const ALL: [Self; 5] = [Self::Uploading, Self::Uploaded, Self::Splitting, Self::Split, Self::Failed];

    /// The upper-case name, the same in the store and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploading => "UPLOADING",
            Self::Uploaded => "UPLOADED",
            Self::Splitting => "SPLITTING",
            Self::Split => "SPLIT",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StatusKind {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownStatus)
    }
}

/// A text that names no status a song can have; `NOT_FOUND` is such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown status: expected one of UPLOADING, UPLOADED, SPLITTING, SPLIT, FAILED")]
pub struct UnknownStatus;

/// Something that happens to a song.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The bytes are safely stored: `UPLOADING → UPLOADED`.
    FinishUpload,
    /// A worker took a lease: `UPLOADED → SPLITTING`.
    BeginSplitting,
    /// The lease ran out or the worker gave it back: `SPLITTING → UPLOADED`.
    HandBack,
    /// The stems came in and are stored: `SPLITTING → SPLIT`.
    AcceptStems,
    /// The song cannot be split: `SPLITTING → FAILED`.
    Fail(FailureReason),
    /// Somebody asks to try once more: `FAILED → UPLOADED`.
    Retry,
    /// The stems of these bytes are there without a lease on this song: from another song with the same hash, from a
    /// worker whose lease ran out, or from an original worker, which takes none. `UPLOADED → SPLIT`.
    ReuseStems,
}

impl Transition {
    /// What happens, as a verb phrase for messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FinishUpload => "finish upload",
            Self::BeginSplitting => "begin splitting",
            Self::HandBack => "hand back",
            Self::AcceptStems => "accept stems",
            Self::Fail(_) => "fail",
            Self::Retry => "retry",
            Self::ReuseStems => "reuse stems",
        }
    }
}

/// A transition that the song's status has no door for. The song is as it was.
///
/// Deliveries repeat, so a caller meets this in normal operation: a result that comes in twice finds the song `SPLIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no transition {transition:?} from {from}")]
pub struct IllegalTransition {
    /// Where the song was, and still is.
    pub from: StatusKind,
    /// The [name](Transition::name) of what was asked for.
    pub transition: &'static str,
}

/// Why a song could not be split, in one line for the uploader.
///
/// Making one cannot fail: a failure whose reason was refused would be a failure that nobody hears of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailureReason(String);

impl FailureReason {
    /// Longest reason that is kept.
    pub const MAX_CHARS: usize = 500;

    /// What stands in for a reason that was blank.
    pub const UNKNOWN: &'static str = "no reason was given";

    /// Makes one line of `text`: white space, control characters and direction overrides become single spaces, what
    /// exceeds [`Self::MAX_CHARS`] is cut, and a blank text becomes [`Self::UNKNOWN`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        let words = text.split(|c: char| c.is_whitespace() || steers(c)).filter(|word| !word.is_empty());
        let mut line = String::new();
        let mut kept_chars = 0;
        // Word by word, stopping at the limit, so that a hostile worker's endless text is not copied first.
        for word in words {
            let gap = usize::from(!line.is_empty());
            if kept_chars + gap >= Self::MAX_CHARS {
                break;
            }
            line.extend(std::iter::repeat_n(' ', gap));
            let room_chars = Self::MAX_CHARS - kept_chars - gap;
            let before_bytes = line.len();
            line.extend(word.chars().take(room_chars));
            kept_chars += gap + line[before_bytes..].chars().count();
        }
        if line.is_empty() { Self(Self::UNKNOWN.to_owned()) } else { Self(line) }
    }

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
