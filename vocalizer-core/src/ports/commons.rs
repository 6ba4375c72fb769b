//! What servers that serve the same songs agree on beside the songs.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::song::SongHash;

/// A right that ends when this is dropped.
pub type Held = Box<dyn Send + Sync>;

/// What was last heard of the work on a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// How much of it is done.
    pub percent: u8,
    /// When that was heard, to the microsecond.
    pub at: OffsetDateTime,
}

/// What the servers of one installation know together: who is at the bytes of a hash, how far the work on it is, and
/// which songs are gone. For a single server it lives in memory ([`LocalCommons`](crate::service::LocalCommons)).
///
/// Every method may end in [`RepositoryError::Unavailable`].
#[async_trait]
pub trait Commons: Send + Sync {
    /// Waits for the right to store or to delete the blobs of a hash, which one at a time has. It ends when it is
    /// dropped, and soon after its process has died or stands still. Cancel-safe.
    ///
    /// Where it can be lost, the repository beside it refuses what whoever lost it wants to write of this hash: a song
    /// that is admitted, finished, failed or removed.
    ///
    /// # Errors
    ///
    /// Those of every method, also when the others take too long.
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError>;

    /// Whether this process still has the lock of a hash; if so, it has it for a while from now on. Ask right before
    /// deleting bytes, which nobody can take back.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn renew(&self, _hash: &SongHash) -> Result<bool, RepositoryError> {
        Ok(true)
    }

    /// The right to sweep, unless another server has it.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError>;

    /// Something was heard of the work on a hash: it was asked for, begun, or is so far.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn hear(&self, hash: &SongHash, heard: Heard) -> Result<(), RepositoryError>;

    /// What was heard last; `None` if nothing was.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn heard(&self, hash: &SongHash) -> Result<Option<Heard>, RepositoryError>;

    /// Nobody works on a hash any more, and nobody will.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn rest(&self, hash: &SongHash) -> Result<(), RepositoryError>;

    /// The last song of a hash is gone; what was heard of it is forgotten.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn bury(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError>;

    /// Whether there was a song of this hash, as far as it is remembered: for a few days, or the last 10,000.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn was_there(&self, hash: &SongHash) -> Result<bool, RepositoryError>;

    /// Forgets what is older than anybody asks for.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn tidy(&self, now: OffsetDateTime) -> Result<(), RepositoryError>;
}
