//! Deleted songs that can be restored.

use serde::{Deserialize, Serialize};

use super::SongView;

/// A song in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TrashedSongView {
    /// The song, with details. One that waited when it was deleted is `FAILED`; it waits again when it is restored.
    pub song: SongView,
    /// When it was deleted (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub trashed_at: String,
    /// When it is deleted for good (RFC 3339): at the end of its time in the trash or of the retention of all songs, whichever
    /// comes first; or earlier, if its uploader's quota or the server needs the room. `null` if that is after the year 9999.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub ends_at: Option<String>,
}

impl TrashedSongView {
    /// Returns a song in the trash.
    #[must_use]
    pub const fn new(song: SongView, trashed_at: String, ends_at: Option<String>) -> Self {
        Self { song, trashed_at, ends_at }
    }
}

/// The `data` of a response that lists the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrashData {
    /// The caller's songs in the trash; those first that were deleted last.
    pub songs: Vec<TrashedSongView>,
    /// The value of `after` for the next page. Present only if there are more songs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
