//! Song IDs.

use crate::id::opaque_id;

opaque_id!(
    /// The ID of a song. Two uploads of the same bytes are two songs with two IDs and one
    /// [`SongHash`](super::SongHash).
    SongId,
    ParseSongIdError,
    "song"
);
