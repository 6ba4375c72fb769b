//! The trash: deleted songs that can be restored.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::Viewer;
use crate::quota::{Quota, Uploader};
use crate::song::{Song, SongId};

/// A song in the trash. It is `SPLIT` or `FAILED`: one that waited when it was deleted is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashedSong {
    /// The song.
    pub song: Song,
    /// When it was deleted, or the [retention time](super::SongRepository::retention_time) if that was later.
    pub trashed_at: OffsetDateTime,
    /// Whether deleting it cancelled its splitting.
    pub was_waiting: bool,
}

/// The result of [`TrashRepository::trash`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// The deleted song.
    pub trashed: TrashedSong,
    /// Whether another song with its [key](crate::song::Target::key) waits for the stems, read in the same atomic step.
    pub is_wanted_by_others: bool,
}

/// A page of the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrashFilter {
    /// Who asks: only songs that [`Viewer::may_change`] allows are listed.
    pub viewer: Viewer,
    /// Only songs after this position: when one was deleted, in microseconds since 1970, and its identifier.
    pub after: Option<(i64, SongId)>,
    /// The maximum number of songs.
    pub limit: u32,
}

/// Keeps deleted songs for a while.
///
/// For every other method of the repository a song in the trash does not exist, except that its bytes are needed:
/// [`with_hash`](super::SongRepository::with_hash), [`known_keys`](super::ResultRepository::known_keys) and
/// [`expired`](super::SongRepository::expired) return it, [`remove`](super::SongRepository::remove) removes and counts it,
/// and its identifier stays in use. Its share links stay; they open nothing until it is restored.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let now = OffsetDateTime::UNIX_EPOCH;
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, now);
/// # song.finish_upload()?;
/// # let id = song.id();
/// # repository.admit(&song).await?;
/// repository.trash(id, now).await?;
/// assert_eq!(repository.find(id).await?, None);
/// assert!(repository.find_trashed(id).await?.is_some());
///
/// repository.restore(id).await?;
/// assert!(repository.find(id).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait TrashRepository: Send + Sync {
    /// Puts a song in the trash, durably on return. One that is `UPLOADED` or `SPLITTING` is
    /// [cancelled](super::SongRepository::cancel) in the same step. `None` if there is no such song, also for a repeat.
    ///
    /// Its webhooks are told that it is deleted.
    ///
    /// # Errors
    ///
    /// Those of every method of [`SongRepository`](super::SongRepository).
    async fn trash(&self, id: SongId, now: OffsetDateTime) -> Result<Option<Trashed>, RepositoryError>;

    /// Takes a song out of the trash, durably on return. If deleting it cancelled its splitting, it is
    /// [retried](super::SongRepository::retry) in the same step. `None` if it is not in the trash, also for a repeat.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn restore(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Finds a song in the trash. The caller checks who may see it.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find_trashed(&self, id: SongId) -> Result<Option<TrashedSong>, RepositoryError>;

    /// Lists songs in the trash, those first that were deleted last, then by identifier.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn list_trash(&self, filter: &TrashFilter) -> Result<Vec<TrashedSong>, RepositoryError>;

    /// Returns songs of all owners that were put in the trash before a time, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn trashed_before(&self, before: OffsetDateTime, limit: u32) -> Result<Vec<SongId>, RepositoryError>;

    /// Returns the uploader's song that is in the trash for the longest time, if all its songs with those in the trash
    /// exceed the [totals](Quota::holds) of the quota. Songs of an address are known by it only while they are counted.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn trash_over(&self, uploader: &Uploader, quota: &Quota) -> Result<Option<SongId>, RepositoryError>;
}
