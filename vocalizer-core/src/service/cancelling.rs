//! Cancels splitting.

use super::ServiceError;
use super::songs::SongService;
use crate::account::Viewer;
use crate::api::SongView;
use crate::causes::chain;
use crate::ports::{Cancelled, RepositoryError};
use crate::song::{SongHash, SongId};

impl SongService {
    /// Cancels the splitting of a song that waits or is being split. It becomes `FAILED` and can be retried.
    ///
    /// If no other song with its hash waits for the stems of its model, its job leaves the queue. A worker that has the job learns it
    /// from its next progress report and stops; a result that arrives later is dropped. A result that was accepted first
    /// wins. A repeat changes nothing and succeeds.
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
    /// let song = service.cancel(Viewer::Anonymous, song.id).await?;
    /// assert_eq!(song.status, SongStatus::Failed);
    /// assert_eq!(song.failure_reason.as_deref(), Some("cancelled by the user"));
    ///
    /// // A worker that takes the job meanwhile does not begin.
    /// assert_eq!(service.begin(&song.hash.parse()?).await?, Wanted::Gone);
    /// service.retry(Viewer::Anonymous, song.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] when it is split or has failed, and the errors of [`Self::song`].
    pub async fn cancel(&self, viewer: Viewer, id: SongId) -> Result<SongView, ServiceError> {
        let hash = *self.changeable(viewer, id).await?.hash();
        // Excludes a worker's result, a retry and an upload of the same bytes, whose job must not be withdrawn.
        let _lock = self.ports().coordination.lock(&hash).await?;
        let cancelled = self.ports().songs.cancel(id).await.map_err(|error| match error {
            RepositoryError::Conflict => {
                let message = "only songs that wait or are being split can be cancelled";
                ServiceError::Conflict { message, field: None }
            }
            other => other.into(),
        })?;
        let Cancelled { song, is_wanted_by_others } = cancelled.ok_or(ServiceError::NO_SONG)?;
        tracing::info!(song = %id, %hash, is_wanted_by_others, "splitting cancelled");
        let key = song.target().key;
        if is_wanted_by_others {
            self.changes().announce(&key);
        } else {
            self.withdraw(&key).await;
            self.clear_progress(&key).await?;
        }
        self.view(&song).await
    }

    /// Removes the waiting job with a key if no song waits for its stems. The hash must be locked.
    pub(super) async fn withdraw_unless_wanted(&self, key: &SongHash) -> Result<(), ServiceError> {
        if !self.ports().songs.with_key(key).await?.iter().any(|song| song.status().is_waiting()) {
            self.withdraw(key).await;
        }
        Ok(())
    }

    /// Removes the waiting job with a key whose stems are not wanted. If this fails, the worker that gets the job drops it.
    pub(super) async fn withdraw(&self, key: &SongHash) {
        if let Err(error) = self.ports().queue.withdraw(key).await {
            tracing::warn!(%key, error = chain(&error), "removing a job from the queue failed; its worker will drop it");
        }
    }
}
