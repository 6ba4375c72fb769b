//! The identity of a song.

use crate::id::opaque_id;

opaque_id!(
    /// Which song. Two uploads of the same bytes are two songs with two identifiers and one
    /// [`SongHash`](super::SongHash).
    SongId,
    ParseSongIdError,
    "song"
);
