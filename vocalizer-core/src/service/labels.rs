//! Labels: short names by which users group their songs.

use super::{ServiceError, SongService};
use crate::account::Viewer;
use crate::api::{LabelView, SongView};
use crate::ports::RepositoryError;
use crate::song::{Label, LabelChange, SongId};

impl SongService {
    /// Returns the labels of the songs that the viewer may see, in alphabetical order without case.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn labels(&self, viewer: Viewer) -> Result<Vec<LabelView>, ServiceError> {
        Ok(self.ports().songs.labels(viewer).await?.into_iter().map(LabelView::from).collect())
    }

    /// Adds a label to a song, unless it has this label, in any case. Returns the song with details.
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
    /// service.add_label(Viewer::Anonymous, song.id, "Piano").await?;
    /// let song = service.add_label(Viewer::Anonymous, song.id, "piano").await?;
    /// assert_eq!(song.labels.unwrap(), ["Piano"]);
    ///
    /// let listing = LibraryListing { label: Some("PIANO".to_owned()), ..LibraryListing::default() };
    /// assert_eq!(service.library(Viewer::Anonymous, listing).await?.songs.len(), 1);
    /// assert_eq!(service.labels(Viewer::Anonymous).await?[0].songs, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the label, [`ServiceError::Conflict`] if the song has [`Label::MOST`] labels,
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn add_label(&self, viewer: Viewer, id: SongId, label: &str) -> Result<SongView, ServiceError> {
        self.relabel(viewer, id, LabelChange::Add(parsed(label)?)).await
    }

    /// Removes a label from a song, in any case. Returns the song with details. Removing a label that the song does not have
    /// succeeds.
    ///
    /// # Errors
    ///
    /// Those of [`Self::add_label`], except [`ServiceError::Conflict`].
    pub async fn remove_label(&self, viewer: Viewer, id: SongId, label: &str) -> Result<SongView, ServiceError> {
        self.relabel(viewer, id, LabelChange::Remove(parsed(label)?)).await
    }

    async fn relabel(&self, viewer: Viewer, id: SongId, change: LabelChange) -> Result<SongView, ServiceError> {
        self.changeable(viewer, id).await?;
        let song = self.ports().songs.relabel(id, &change).await.map_err(|error| match error {
            RepositoryError::Conflict => {
                let message = "the song has 20 labels, the maximum; remove one that is no longer needed";
                ServiceError::Conflict { message, field: None }
            }
            other => other.into(),
        })?;
        let song = song.ok_or(ServiceError::NO_SONG)?;
        self.changes().announce(&song.target().key);
        self.in_detail(&song).await
    }
}

/// Parses a label in a request.
pub(super) fn parsed(label: &str) -> Result<Label, ServiceError> {
    Label::parse(label).map_err(|error| ServiceError::invalid_name("label", error))
}
