//! A song on the wire.

use serde::{Deserialize, Serialize};

use super::times::text;
use crate::account::UserId;
use crate::song::{Song, SongId, StatusKind};

/// A song as clients see it: `{id, title, hash, uploader_id, status}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "title", "hash", "uploader_id", "status"]))
)]
pub struct SongView {
    /// Which song.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: SongId,
    /// What it is called.
    pub title: String,
    /// The hash of its bytes; a text rather than a [`SongHash`](crate::song::SongHash) because it is opaque to clients.
    pub hash: String,
    /// Who uploaded it; `null`, never missing, for an anonymous upload.
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub uploader_id: Option<UserId>,
    /// Where it is in its life.
    pub status: SongStatus,
    /// Why it could not be split. Present only when `status` is `FAILED`, so that clients of the original, which know
    /// of neither, see the object they expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// How much of it is split, in percent. Present only when `status` is `SPLITTING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// How many songs are split before it. Present only when `status` is `UPLOADED` and the queue can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// When the upload began, by RFC 3339. Present only where details are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub uploaded_at: Option<String>,
}

impl SongView {
    /// With what is told to those alone who ask for details.
    #[must_use]
    pub(crate) fn with_details(self, song: &Song) -> Self {
        Self { uploaded_at: Some(text(song.uploaded_at())), ..self }
    }
}

impl From<&Song> for SongView {
    fn from(song: &Song) -> Self {
        Self {
            id: song.id(),
            title: song.title().as_str().to_owned(),
            hash: song.hash().to_string(),
            uploader_id: song.uploader(),
            status: song.status().kind().into(),
            failure_reason: song.status().failure().map(|reason| reason.as_str().to_owned()),
            progress: None,
            queue_position: None,
            uploaded_at: None,
        }
    }
}

/// A song's status as clients see it: a [`StatusKind`], or that there is no such song.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SongStatus {
    /// There is no such song, as far as the caller may know. Never the status of a song in an answer.
    NotFound,
    /// Its bytes have come in and are not safely stored yet.
    Uploading,
    /// Stored, and waiting to be split.
    Uploaded,
    /// Being split.
    Splitting,
    /// Its stems are there.
    Split,
    /// It could not be split.
    Failed,
}

impl From<StatusKind> for SongStatus {
    fn from(kind: StatusKind) -> Self {
        match kind {
            StatusKind::Uploading => Self::Uploading,
            StatusKind::Uploaded => Self::Uploaded,
            StatusKind::Splitting => Self::Splitting,
            StatusKind::Split => Self::Split,
            StatusKind::Failed => Self::Failed,
        }
    }
}

/// The `data` of an answer about one song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongData {
    /// The song.
    pub song: SongView,
}

/// The `data` of an answer that lists songs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongsData {
    /// The songs that the caller may see, newest first.
    pub songs: Vec<SongView>,
    /// What to give as `after` for the songs that come next. Present only where some are left out: by `limit`, or because
    /// there are more than one answer lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What to change about a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SongChange {
    /// Its new title.
    pub title: String,
}
