//! The repository of markers.

use async_trait::async_trait;

use super::RepositoryError;
use crate::song::{Marker, MarkerId, SongId, Title};

/// Stores the markers of songs. It is a part of [`SongRepository`](super::SongRepository):
/// [removing](super::SongRepository::remove) a song removes its markers in the same step.
///
/// A read sees every write that returned before it started. A dropped future has had its whole effect or none. Every
/// method may return [`RepositoryError::Unavailable`], and those that read [`RepositoryError::Corrupt`].
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, OffsetDateTime::UNIX_EPOCH);
/// # song.finish_upload()?;
/// # repository.admit(&song).await?;
/// let chorus = Marker { id: MarkerId::random(), at_ms: 61_500, name: Title::parse("Chorus", 100)? };
/// assert!(repository.insert_marker(song.id(), &chorus, 200).await?);
/// assert!(repository.change_marker(song.id(), chorus.id, Some(62_000), None).await?);
/// assert_eq!(repository.markers(song.id()).await?, [Marker { at_ms: 62_000, ..chorus }]);
///
/// repository.remove(song.id()).await?;
/// assert_eq!(repository.markers(song.id()).await?, []);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait MarkerRepository: Send + Sync {
    /// Stores a marker, durable on return, unless its song has `max` markers already. Returns whether it was stored.
    /// Concurrent calls cannot exceed the maximum.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the song does not exist, or the ID is in use, for example by a repeat.
    async fn insert_marker(&self, song: SongId, marker: &Marker, max: u32) -> Result<bool, RepositoryError>;

    /// Returns the markers of a song in the order of their times, and of their IDs at equal times.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn markers(&self, song: SongId) -> Result<Vec<Marker>, RepositoryError>;

    /// Changes the time or the name of a marker of a song, or both, durably on return. Returns whether the song has this
    /// marker.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn change_marker(
        &self,
        song: SongId,
        id: MarkerId,
        at_ms: Option<u64>,
        name: Option<&Title>,
    ) -> Result<bool, RepositoryError>;

    /// Removes a marker of a song, durably on return. Returns whether the song had this marker.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn remove_marker(&self, song: SongId, id: MarkerId) -> Result<bool, RepositoryError>;
}
