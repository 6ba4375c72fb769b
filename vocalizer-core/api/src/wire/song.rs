//! Songs as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Provenance;
use crate::id::{SongId, UserId};

/// A song as clients see it: `{id, title, hash, uploader_id, status}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "title", "hash", "uploader_id", "status"]))
)]
#[non_exhaustive]
pub struct SongView {
    /// The song's ID.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: SongId,
    /// The title.
    pub title: String,
    /// The hash of the bytes; a string because it is opaque to clients.
    pub hash: String,
    /// The uploader; `null`, never missing, for an anonymous upload.
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub uploader_id: Option<UserId>,
    /// The status.
    pub status: SongStatus,
    /// Why splitting failed. Present only if `status` is `FAILED`, so that clients of the original system, which know
    /// neither, get the object they expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// Progress of splitting in percent. Present only if `status` is `SPLITTING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// The number of songs ahead in the queue. Present only if `status` is `UPLOADED` and the queue can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// When the upload began (RFC 3339). Present only if details are requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub uploaded_at: Option<String>,
    /// Whether the stems are stored without loss, so that WAV and FLAC have all that the model made. Present only if
    /// `status` is `SPLIT` and details are requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lossless: Option<bool>,
    /// What made the stems. Present only if `status` is `SPLIT`, details are requested and the worker said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The model that the song is split with. Present only if details are requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The parts that can be downloaded now. Those of an earlier model remain until the stems of another are there.
    /// Present only if details are requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<String>>,
    /// The artist in the tags of the file. Present only if details are requested and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// The length in milliseconds, if the header of the file states it. Present only if details are requested and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Whether the tags of the file have a cover. Present only if details are requested and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_cover: Option<bool>,
    /// Its labels, in alphabetical order without case. Present only if details are requested, and not for guests with a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Why the song waits although it is next. Present only if details are requested, `status` is `UPLOADED` and no
    /// worker for the model was there within the last minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// About how many seconds it takes until the song is split: from what splitting took with its model and the models of
    /// the songs before it in the queue, and the workers that are busy now. Present only in the details of a single song that
    /// waits or is being split, if all of that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

impl SongView {
    /// Returns a song without the fields that are not always present.
    #[must_use]
    pub fn new(id: SongId, title: String, hash: String, uploader_id: Option<UserId>, status: SongStatus) -> Self {
        Self {
            id,
            title,
            hash,
            uploader_id,
            status,
            failure_reason: None,
            progress: None,
            queue_position: None,
            uploaded_at: None,
            lossless: None,
            provenance: None,
            model: None,
            parts: None,
            artist: None,
            duration_ms: None,
            has_cover: None,
            labels: None,
            waiting_for: None,
            seconds_left: None,
        }
    }
}

/// A song's status as clients see it: the kind of its status, or not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum SongStatus {
    /// The song does not exist, or the caller may not see it. Never the status of a song in a response.
    NotFound,
    /// All bytes have arrived but are not stored safely yet.
    Uploading,
    /// Stored and waiting to be split.
    Uploaded,
    /// Being split.
    Splitting,
    /// The stems are ready.
    Split,
    /// Splitting failed.
    Failed,
    /// A status from a newer server, which clients must tolerate. Neither split nor failed.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

impl SongStatus {
    /// Returns the status as in the API, such as `SPLIT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Uploading => "UPLOADING",
            Self::Uploaded => "UPLOADED",
            Self::Splitting => "SPLITTING",
            Self::Split => "SPLIT",
            Self::Failed => "FAILED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Returns whether splitting has ended: split or failed.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Split | Self::Failed)
    }
}

impl fmt::Display for SongStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `data` of a response about one song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongData {
    /// The song.
    pub song: SongView,
}

/// The `data` of a response that lists songs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongsData {
    /// The songs that the caller may see, newest first unless another order was asked for.
    pub songs: Vec<SongView>,
    /// The value of `after` for the next page. Present only if there are more songs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The number of songs on all pages. Present only if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A change of a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongChange {
    /// The new title.
    pub title: String,
}
