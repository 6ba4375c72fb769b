//! The repository of resumable uploads.

use std::collections::BTreeMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::UserId;
use crate::api::id::UploadId;
use crate::quota::{Exceeded, Quota, Uploader, Usage, Weight};
use crate::song::{SongHash, SongId};

/// A resumable upload. Its bytes are [pieces](super::BlobKey::Piece) in the blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialUpload {
    /// The ID.
    pub id: UploadId,
    /// The user; `None` for an anonymous upload.
    pub owner: Option<UserId>,
    /// The unit that it is counted by, as text ([`Uploader`]).
    pub uploader: String,
    /// The size of the whole file.
    pub size_bytes: u64,
    /// How many bytes are stored.
    pub received_bytes: u64,
    /// What the client tells about the song, by name.
    pub fields: BTreeMap<String, String>,
    /// The song, once the upload is finished.
    pub song: Option<SongId>,
    /// When it is deleted, with microsecond precision.
    pub expires_at: OffsetDateTime,
}

impl PartialUpload {
    /// Returns the hash that the pieces of an upload belong to. No song has it.
    #[must_use]
    pub fn hash_of(id: UploadId) -> SongHash {
        SongHash::of(format!("vocalizer resumable upload {id}").as_bytes())
    }
}

/// A number of unfinished uploads and the sum of their sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadTotals {
    /// The number.
    pub uploads: u64,
    /// The sum of the declared sizes.
    pub bytes: u64,
}

impl UploadTotals {
    /// Returns the totals with one more upload.
    #[must_use]
    pub const fn with(self, size_bytes: u64) -> Self {
        Self { uploads: self.uploads.saturating_add(1), bytes: self.bytes.saturating_add(size_bytes) }
    }

    const fn fits(self, bound: Self) -> bool {
        self.uploads <= bound.uploads && self.bytes <= bound.bytes
    }
}

/// The bounds of unfinished uploads.
///
/// ```
/// use vocalizer_core::ports::{UploadBounds, UploadTotals};
/// use vocalizer_core::quota::{Exceeded, Quota, Usage};
///
/// # fn main() -> Result<(), Exceeded> {
/// let per_uploader = UploadTotals { uploads: 1, bytes: 1_000 };
/// let bounds = UploadBounds { per_uploader, total: UploadTotals { uploads: 2, bytes: 1_500 }, quota: Quota::default() };
/// let (none, one) = (UploadTotals::default(), UploadTotals::default().with(1_000));
/// assert!(bounds.admit(1_000, none, none, Usage::default())?);
/// assert!(!bounds.admit(1_000, none, one, Usage::default())?, "the server has no room");
/// assert_eq!(bounds.admit(1_000, one, one, Usage::default()), Err(Exceeded::Unfinished { max_uploads: 1 }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadBounds {
    /// The most of one uploader.
    pub per_uploader: UploadTotals,
    /// The most of all uploaders.
    pub total: UploadTotals,
    /// The uploader's quota, which counts unfinished uploads like songs.
    pub quota: Quota,
}

impl UploadBounds {
    /// Returns whether one more upload of this size has room beside the uploader's own and all unfinished ones.
    ///
    /// # Errors
    ///
    /// What the uploader would exceed.
    pub fn admit(&self, size_bytes: u64, own: UploadTotals, all: UploadTotals, usage: Usage) -> Result<bool, Exceeded> {
        let Self { per_uploader, total, quota } = self;
        if own.uploads >= per_uploader.uploads {
            return Err(Exceeded::Unfinished { max_uploads: per_uploader.uploads });
        }
        if !own.with(size_bytes).fits(*per_uploader) {
            return Err(Exceeded::UnfinishedBytes { max_bytes: per_uploader.bytes });
        }
        let usage = Usage {
            songs: usage.songs.saturating_add(own.uploads),
            bytes: usage.bytes.saturating_add(own.bytes),
            ..usage
        };
        quota.fits(usage, Weight { size_bytes, audio: std::time::Duration::ZERO })?;
        Ok(all.with(size_bytes).fits(*total))
    }
}

/// Stores resumable uploads. It is a part of [`SongRepository`](super::SongRepository).
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
/// # use vocalizer_core::{account::UserId, api::id::UploadId, memory::MemorySongs, ports::*, quota::*};
/// # let (repository, now) = (MemorySongs::default(), OffsetDateTime::UNIX_EPOCH);
/// let uploader = Uploader::User(UserId::random());
/// let upload = PartialUpload {
///     id: UploadId::random(),
///     owner: None,
///     uploader: uploader.to_string(),
///     size_bytes: 10,
///     received_bytes: 0,
///     fields: [("title".to_owned(), "Clair de lune".to_owned())].into(),
///     song: None,
///     expires_at: now + time::Duration::DAY,
/// };
/// let most = UploadTotals { uploads: 100, bytes: 1_000_000 };
/// let bounds = UploadBounds { per_uploader: most, total: most, quota: Quota::default() };
/// assert!(repository.create_upload(&upload, &uploader, &bounds).await?);
///
/// assert!(repository.advance_upload(upload.id, 0, 4, now).await?);
/// assert!(!repository.advance_upload(upload.id, 0, 6, now).await?, "another request was faster");
/// assert_eq!(repository.find_upload(upload.id).await?.map(|upload| upload.received_bytes), Some(4));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait UploadRepository: Send + Sync {
    /// Stores an upload, durable on return, if it is within the bounds. Returns whether the server has room for it.
    /// Concurrent calls cannot exceed the bounds.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Exceeded`] if the uploader has no room for it, [`RepositoryError::Conflict`] if the ID is in
    /// use.
    async fn create_upload(
        &self,
        upload: &PartialUpload,
        uploader: &Uploader,
        bounds: &UploadBounds,
    ) -> Result<bool, RepositoryError>;

    /// Returns an upload, also an expired one.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find_upload(&self, id: UploadId) -> Result<Option<PartialUpload>, RepositoryError>;

    /// Sets the number of stored bytes from `from` to `to` and the time of expiry, durably on return. Returns `false`
    /// if the upload does not exist, is finished, or has another number of stored bytes.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn advance_upload(
        &self,
        id: UploadId,
        from: u64,
        to: u64,
        expires_at: OffsetDateTime,
    ) -> Result<bool, RepositoryError>;

    /// Records the song of an upload, which is then finished. Does nothing if the upload does not exist.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn finish_upload(&self, id: UploadId, song: SongId) -> Result<(), RepositoryError>;

    /// Removes an upload, durably on return. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn remove_upload(&self, id: UploadId) -> Result<bool, RepositoryError>;

    /// Returns uploads that are expired at `now`, the oldest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn expired_uploads(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<UploadId>, RepositoryError>;

    /// Returns all uploads, whose pieces a sweep keeps.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn uploads(&self) -> Result<Vec<UploadId>, RepositoryError>;

    /// Returns the number and the size of the unfinished uploads.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn unfinished_uploads(&self) -> Result<UploadTotals, RepositoryError>;
}
