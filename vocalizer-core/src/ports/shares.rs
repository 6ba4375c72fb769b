//! The repository of share links.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::{SessionDigest, ShareId, ShareLink};
use crate::song::SongId;

/// Stores the share links of songs. It is a part of [`SongRepository`](super::SongRepository):
/// [removing](super::SongRepository::remove) a song removes its links in the same step.
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
/// # use vocalizer_core::{account::*, memory::MemorySongs, ports::*, secret::Secret, song::*};
/// # let (repository, now) = (MemorySongs::default(), OffsetDateTime::UNIX_EPOCH);
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, now);
/// # song.finish_upload()?;
/// # repository.admit(&song).await?;
/// let digest = SessionDigest::of(&Secret::new("the secret of the link".to_owned()));
/// let link = ShareLink { id: ShareId::random(), digest, song: song.id(), created_at: now, expires_at: None, mix: None };
/// assert!(repository.insert_share(&link, 100, now).await?);
/// assert_eq!(repository.find_share(digest, now).await?, Some(link));
///
/// repository.remove(song.id()).await?;
/// assert_eq!(repository.find_share(digest, now).await?, None);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ShareRepository: Send + Sync {
    /// Stores a link, durable on return, unless its song has `max` links already. Links of the song that are expired at
    /// `now` are deleted first. Returns whether the link was stored. Concurrent calls cannot exceed the maximum.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the song does not exist, or the ID or the digest is in use, for example by a
    /// repeat.
    async fn insert_share(&self, link: &ShareLink, max: u32, now: OffsetDateTime) -> Result<bool, RepositoryError>;

    /// Returns the links of a song, newest first. Expired links that are not deleted yet are included.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn shares(&self, song: SongId) -> Result<Vec<ShareLink>, RepositoryError>;

    /// Returns the link with a digest; `None` if it is unknown, revoked, or expired at `now` (a link that expires at
    /// `now` is expired), or if its song is in the [trash](super::TrashRepository).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find_share(
        &self,
        digest: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<Option<ShareLink>, RepositoryError>;

    /// Revokes a link of a song, durably on return. Returns whether the song had this link.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn revoke_share(&self, song: SongId, id: ShareId) -> Result<bool, RepositoryError>;

    /// Deletes links that are expired at `now`, and returns their number.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_expired_shares(&self, now: OffsetDateTime) -> Result<u64, RepositoryError>;
}
