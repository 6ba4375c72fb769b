//! The status of a song as a state machine.
//!
//! ```text
//!                               reuse stems
//!                       ┌───────────────────────────┐
//!            finish     │    begin          accept  ▼
//! UPLOADING ────────▶ UPLOADED ─────▶ SPLITTING ──▶ SPLIT
//!                       ▲  ▲  hand back  │  │
//!                       │  └─────────────┘  │ fail, cancel
//!                       │ cancel, retry     ▼
//!                       └──────────────── FAILED
//! ```
//!
//! A song that is split again, with another model, becomes `UPLOADED` from any status but `UPLOADING`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::FailureReason;

/// The status of a song.
///
/// `NOT_FOUND` is missing on purpose, since no existing song can have it. It occurs only in JSON, as
/// [`SongStatus::NotFound`](crate::api::SongStatus::NotFound).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// All bytes have arrived and are hashed, but are not stored safely yet.
    Uploading,
    /// Stored and waiting to be split.
    Uploaded,
    /// A worker holds a lease on it.
    Splitting,
    /// The stems are ready.
    Split,
    /// Splitting failed.
    Failed {
        /// The reason, for the uploader.
        reason: FailureReason,
    },
}

impl Status {
    /// Returns the status without the reason.
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

    /// Returns why splitting failed, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&FailureReason> {
        match self {
            Self::Failed { reason } => Some(reason),
            _ => None,
        }
    }

    /// Returns whether the song waits for stems.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self, Self::Uploaded | Self::Splitting)
    }

    /// Returns whether splitting was cancelled. Only the reason tells it from other failures.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.failure().is_some_and(|reason| reason.as_str() == FailureReason::CANCELLED)
    }

    /// Restores a status from the two columns of a store. A reason without [`StatusKind::Failed`] is dropped; a failure
    /// without a reason gets [`FailureReason::UNKNOWN`].
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

    /// Returns the status after `transition`. This table is the whole state machine.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] if the table has no such entry.
    pub fn after(&self, transition: Transition) -> Result<Self, IllegalTransition> {
        match (self, transition) {
            (Self::Uploading, Transition::FinishUpload) => Ok(Self::Uploaded),
            (Self::Uploaded, Transition::BeginSplitting) => Ok(Self::Splitting),
            (Self::Uploaded, Transition::ReuseStems) => Ok(Self::Split),
            (Self::Splitting, Transition::HandBack) => Ok(Self::Uploaded),
            (Self::Splitting, Transition::AcceptStems) => Ok(Self::Split),
            (Self::Splitting, Transition::Fail(reason)) => Ok(Self::Failed { reason }),
            (Self::Uploaded | Self::Splitting, Transition::Cancel) => {
                Ok(Self::Failed { reason: FailureReason::new(FailureReason::CANCELLED) })
            }
            (Self::Failed { .. }, Transition::Retry) => Ok(Self::Uploaded),
            (Self::Uploaded | Self::Splitting | Self::Split | Self::Failed { .. }, Transition::SplitAgain) => {
                Ok(Self::Uploaded)
            }
            (_, transition) => Err(IllegalTransition { from: self.kind(), transition: transition.name() }),
        }
    }
}

/// A [`Status`] without the reason, for indexes and logs.
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

    /// Returns the upper-case name, used in stores and in JSON.
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

/// An unknown status name. `NOT_FOUND` is one: no song can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown status: expected one of UPLOADING, UPLOADED, SPLITTING, SPLIT, FAILED")]
pub struct UnknownStatus;

/// An event in a song's life.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The bytes are stored: `UPLOADING → UPLOADED`.
    FinishUpload,
    /// A worker took a lease: `UPLOADED → SPLITTING`.
    BeginSplitting,
    /// The lease expired or was returned: `SPLITTING → UPLOADED`.
    HandBack,
    /// The stems are stored: `SPLITTING → SPLIT`.
    AcceptStems,
    /// Splitting failed: `SPLITTING → FAILED`.
    Fail(FailureReason),
    /// The user does not want the stems any more: `UPLOADED → FAILED` or `SPLITTING → FAILED`.
    Cancel,
    /// A retry was requested: `FAILED → UPLOADED`.
    Retry,
    /// The stems exist without a lease on this song: from another song with the same hash, from a worker whose lease
    /// expired, or from a worker of the original system, which takes no leases. `UPLOADED → SPLIT`.
    ReuseStems,
    /// Another model was requested: any but `UPLOADING → UPLOADED`.
    SplitAgain,
}

impl Transition {
    /// Returns the name for messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FinishUpload => "finish upload",
            Self::BeginSplitting => "begin splitting",
            Self::HandBack => "hand back",
            Self::AcceptStems => "accept stems",
            Self::Fail(_) => "fail",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::ReuseStems => "reuse stems",
            Self::SplitAgain => "split again",
        }
    }
}

/// A transition that the song's status does not allow. The song is unchanged.
///
/// This occurs in normal operation, since deliveries may repeat: a second result finds the song `SPLIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no transition {transition:?} from {from}")]
pub struct IllegalTransition {
    /// The song's current status.
    pub from: StatusKind,
    /// The [name](Transition::name) of the requested transition.
    pub transition: &'static str,
}
