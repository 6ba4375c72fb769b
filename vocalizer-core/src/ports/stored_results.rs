//! The results that are kept for a hash, one per model.

use async_trait::async_trait;

use super::RepositoryError;
use crate::song::{Song, SongHash, SongId, StemsInfo, Target};

/// Stores what is known of the results of each hash, and lets songs change between them.
///
/// [`SongRepository::advance`](super::SongRepository::advance) with
/// [`Advance::Finish`](crate::dedupe::Advance::Finish) adds a result if it changes a song; removing the last song of a hash
/// removes all its results. Every method may return [`RepositoryError::Unavailable`].
#[async_trait]
pub trait ResultRepository: Send + Sync {
    /// Returns the songs whose [target](crate::song::Target) has this key, without those in the
    /// [trash](super::TrashRepository), which wait for no stems.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn with_key(&self, key: &SongHash) -> Result<Vec<Song>, RepositoryError>;

    /// Returns the stored results of a hash, each with its key.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn results(&self, hash: &SongHash) -> Result<Vec<StemsInfo>, RepositoryError>;

    /// Returns the newest results of all songs, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn newest_results(&self, limit: u32) -> Result<Vec<StemsInfo>, RepositoryError>;

    /// Returns every hash and every key of songs and results, each at least once, in no guaranteed order: blobs under any
    /// other have no song.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn known_keys(&self) -> Result<Vec<SongHash>, RepositoryError>;

    /// Sets the target of a song and plans its processing in the same step: [`Song::split_again`] and
    /// [`dedupe::settle`](crate::dedupe::settle), then as in
    /// [`SongRepository::admit`](super::SongRepository::admit). If its results exist, the song is `SPLIT` on return and
    /// there is no job. `None` if there is no such song.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] while it is `UPLOADING`.
    async fn split_again(&self, id: SongId, target: &Target) -> Result<Option<Song>, RepositoryError>;
}
