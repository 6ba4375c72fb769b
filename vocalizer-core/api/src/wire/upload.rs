//! Resumable uploads as JSON.

use serde::{Deserialize, Serialize};

use super::SongView;
use crate::id::{SongId, UploadId};

/// The state of a resumable upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "size_bytes", "received_bytes", "expires_at", "song_id"]))
)]
#[non_exhaustive]
pub struct UploadView {
    /// The ID.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: UploadId,
    /// The size of the file.
    pub size_bytes: u64,
    /// How many bytes the server has stored. The upload continues there.
    pub received_bytes: u64,
    /// When the upload is deleted if it does not continue (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub expires_at: String,
    /// The song, once the upload is finished; `null`, never missing, before.
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub song_id: Option<SongId>,
}

impl UploadView {
    /// Returns the state of an upload.
    #[must_use]
    pub const fn new(
        id: UploadId,
        size_bytes: u64,
        received_bytes: u64,
        expires_at: String,
        song_id: Option<SongId>,
    ) -> Self {
        Self { id, size_bytes, received_bytes, expires_at, song_id }
    }
}

/// The `data` of a response about a resumable upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["upload", "song"])))]
pub struct UploadData {
    /// The state of the upload.
    pub upload: UploadView,
    /// The song, in the response to the request that completes the upload and to its repeats; `null`, never missing,
    /// in others.
    pub song: Option<SongView>,
}
