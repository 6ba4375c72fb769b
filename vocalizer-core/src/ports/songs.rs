//! Where songs are kept.

use async_trait::async_trait;

use super::RepositoryError;
use crate::account::Viewer;
use crate::song::{Song, SongHash, SongId, StatusKind};

/// What [`SongRepository::remove`] took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The song as it last was.
    pub song: Song,
    /// How many songs with the same hash are left, counted in the same atomic step: the input of
    /// [`on_delete`](crate::dedupe::on_delete).
    pub others_with_hash: u64,
}

/// Keeps songs; their bytes are in a [`BlobStore`](super::BlobStore).
///
/// Reads see every write that returned before they began. All methods are cancel-safe in the sense that a dropped future
/// has had its whole effect or none.
#[async_trait]
pub trait SongRepository: Send + Sync {
    /// Stores a new song.
    ///
    /// On return the song is durable. Inserting the same song again is a success without effect.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when another song has this identifier; [`RepositoryError::Unavailable`] or
    /// [`RepositoryError::Corrupt`].
    async fn insert(&self, song: &Song) -> Result<(), RepositoryError>;

    /// Finds a song, `None` where there is none. Who may see it is the caller's question.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Lists what [`Viewer::may_see`] allows, newest first, ties in the order of identifiers.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn list(&self, viewer: Viewer) -> Result<Vec<Song>, RepositoryError>;

    /// Lists every song with a hash, whoever owns it. For the rules in [`dedupe`](crate::dedupe), never for an answer.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError>;

    /// Stores a song's new status, provided that the stored one is still `expected`.
    ///
    /// The comparison and the write are one atomic step, so that of two callers who saw the same status one wins. On
    /// return the new status is durable. Nothing but the status is written: a song has nothing else that changes.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the stored status is another, or the song is gone: a repeat of an update that
    /// succeeded ends here too. [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn update_status(&self, song: &Song, expected: StatusKind) -> Result<(), RepositoryError>;

    /// Removes a song and says how many others share its bytes.
    ///
    /// On return the song is durably gone. A repeat finds nothing and returns `None`, so of two callers only one is told
    /// to delete blobs. A song with the same hash may be inserted right after the count: whoever deletes blobs must keep
    /// uploads of that hash out until they are gone.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError>;
}
