//! The backend as seen by a worker.

use async_trait::async_trait;
use thiserror::Error;
use vocalizer_api::Wanted;

use super::{Blob, BoxError, Job, StemSet};
use crate::song::{FailureReason, SongHash};

/// The calls from a worker to the backend, in the same process or over HTTP.
///
/// Every call concerns the [key](Job::key) of a job and is idempotent. A worker makes the calls in the order in which they appear here.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
/// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
/// # let clock = Arc::new(ManualClock::new());
/// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
/// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
/// # upload.write("the file".into()).await?;
/// # let song = upload.finish("Clair de lune").await?;
/// // `service` is a backend; its workers make these calls.
/// let hash: SongHash = song.hash.parse()?;
/// assert_eq!(service.begin(&hash).await?, Wanted::Yes);
/// let file = service.source(&Job::new(hash, JobPayload::Stored)).await?;
/// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "v".into() };
/// service.progress(&hash, 50).await?;
/// service.deliver(&hash, &stems).await?;
///
/// assert_eq!(service.progress(&hash, 100).await?, Wanted::Done);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Backend: Send + Sync {
    /// Reports that a lease was taken: songs with this hash become `SPLITTING`, if any still need splitting.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError>;

    /// Returns the song's bytes, for a job that does not carry them; `None` if the song was deleted.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError>;

    /// Reports progress. The response tells whether to continue.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; the worker may continue.
    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError>;

    /// Delivers the stems. On return they are durable and every song with the hash is `SPLIT`. Nothing changes if they
    /// were there already ([`Wanted::Done`], or [`Wanted::Yes`] over HTTP) or all songs with the hash were deleted
    /// ([`Wanted::Gone`]).
    ///
    /// # Errors
    ///
    /// [`BackendError`]; deliver again.
    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError>;

    /// Reports that the lease was given back: songs with this hash wait again.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError>;

    /// Reports that the song cannot be split: every song with this hash becomes `FAILED`.
    ///
    /// # Errors
    ///
    /// [`BackendError`].
    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError>;
}

/// An error of a call from a worker to the backend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend is unreachable or out of disk space; the same call may succeed later.
    #[error("the backend is unavailable")]
    Unavailable(#[source] BoxError),
    /// The backend rejected the request; a retry fails as well until its cause is fixed.
    #[error("the backend refused: {why}")]
    Refused {
        /// The reason in the response.
        why: String,
    },
}
