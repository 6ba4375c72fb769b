//! State shared by the servers of one installation.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::song::SongHash;

/// A lock that is released on drop.
pub type Held = Box<dyn Send + Sync>;

/// The last progress report for a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressReport {
    /// The progress in percent.
    pub percent: u8,
    /// When it was reported, with microsecond precision.
    pub at: OffsetDateTime,
}

/// Locks that exclude each other on all servers of one installation.
///
/// Every method may return [`RepositoryError::Unavailable`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use futures_util::FutureExt as _;
/// # use vocalizer_core::{ports::HashLocks as _, service::LocalCoordination, song::SongHash};
/// let (locks, hash) = (LocalCoordination::default(), SongHash::of(b"the song"));
/// let held = locks.lock(&hash).await?;
/// // Another upload of the same bytes has to wait.
/// assert!(locks.lock(&hash).now_or_never().is_none());
/// drop(held);
/// assert!(locks.lock(&hash).now_or_never().is_some());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait HashLocks: Send + Sync {
    /// Waits for the exclusive lock to store or delete the blobs of a hash. It is released on drop, and soon after its
    /// process crashes or hangs. Cancel-safe.
    ///
    /// If the lock can be lost, the repository rejects writes of the former holder for this hash: admitting, finishing,
    /// failing and removing songs.
    ///
    /// # Errors
    ///
    /// Those of every method, also if waiting takes too long.
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError>;

    /// Renews the lock of a hash and returns whether this process still holds it. Call it right before deleting bytes,
    /// which cannot be undone.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn renew(&self, _hash: &SongHash) -> Result<bool, RepositoryError> {
        Ok(true)
    }

    /// Takes the sweep lock; `None` if another server holds it.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError>;
}

/// The progress of the jobs in work.
///
/// Every method may return [`RepositoryError::Unavailable`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use vocalizer_core::{ports::*, service::LocalCoordination, song::SongHash};
/// # let (store, hash) = (LocalCoordination::default(), SongHash::of(b"the song"));
/// let report = ProgressReport { percent: 50, at: time::OffsetDateTime::UNIX_EPOCH };
/// store.record_progress(&hash, report).await?;
/// assert_eq!(store.progress(&hash).await?, Some(report));
///
/// // The song is split.
/// store.clear_progress(&hash).await?;
/// assert_eq!(store.progress(&hash).await?, None);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ProgressStore: Send + Sync {
    /// Records progress for a hash: its job was requested or started, or made progress.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn record_progress(&self, hash: &SongHash, report: ProgressReport) -> Result<(), RepositoryError>;

    /// Returns the last progress report; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn progress(&self, hash: &SongHash) -> Result<Option<ProgressReport>, RepositoryError>;

    /// Clears the progress of a hash whose processing has ended.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn clear_progress(&self, hash: &SongHash) -> Result<(), RepositoryError>;

    /// Deletes reports that are days old: they arrived after the processing had ended.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_old_progress(&self, now: OffsetDateTime) -> Result<(), RepositoryError>;
}

/// The hashes whose last song was deleted, so that a late worker learns it.
///
/// Every method may return [`RepositoryError::Unavailable`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use vocalizer_core::{ports::Tombstones as _, service::LocalCoordination, song::SongHash};
/// # let (tombstones, hash) = (LocalCoordination::default(), SongHash::of(b"the song"));
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
/// tombstones.record_deletion(&hash, now).await?;
/// // A worker delivers the stems too late.
/// assert!(tombstones.was_deleted(&hash).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Tombstones: Send + Sync {
    /// Records that the last song of a hash was deleted, and clears its [progress](ProgressStore).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn record_deletion(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError>;

    /// Returns whether a song with this hash was deleted. Kept for a few days, or for the last 10,000.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn was_deleted(&self, hash: &SongHash) -> Result<bool, RepositoryError>;

    /// Deletes outdated records.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_old_deletions(&self, now: OffsetDateTime) -> Result<(), RepositoryError>;
}

/// The state shared by the servers of one installation: locks on the blobs of a hash, progress, and deleted songs. A
/// single server keeps it in memory ([`LocalCoordination`](crate::service::LocalCoordination)).
///
/// Every type with the three parts implements it.
///
/// ```
/// use std::sync::Arc;
///
/// use vocalizer_core::ports::Coordination;
/// use vocalizer_core::service::LocalCoordination;
///
/// /// Servers of a cluster share their database's; a single server needs none.
/// fn coordination(database: Option<Arc<dyn Coordination>>) -> Arc<dyn Coordination> {
///     database.unwrap_or_else(|| Arc::new(LocalCoordination::default()))
/// }
/// # coordination(None);
/// ```
pub trait Coordination: HashLocks + ProgressStore + Tombstones {}

impl<T: HashLocks + ProgressStore + Tombstones + ?Sized> Coordination for T {}
