//! Markers: named times in a song, the same on every device of its user.

use super::{ServiceError, SongService};
use crate::account::Viewer;
use crate::api::MarkerView;
use crate::song::{Marker, MarkerId, SongId, Title};

impl SongService {
    /// Returns the markers of a song, in the order of the song. Who may listen to it may see them.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn markers(&self, viewer: Viewer, id: SongId) -> Result<Vec<MarkerView>, ServiceError> {
        let song = self.visible(viewer, id).await?;
        Ok(self.ports().songs.markers(song.id()).await?.into_iter().map(MarkerView::from).collect())
    }

    /// Adds a marker to a song.
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
    /// let chorus = service.add_marker(Viewer::Anonymous, song.id, 61_500, "Chorus").await?;
    /// service.change_marker(Viewer::Anonymous, song.id, chorus.id, None, Some("First chorus")).await?;
    /// let markers = service.markers(Viewer::Anonymous, song.id).await?;
    /// assert_eq!((markers[0].at_ms, markers[0].name.as_str()), (61_500, "First chorus"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the name, [`ServiceError::Conflict`] if the song has [`Marker::MOST`] markers,
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn add_marker(
        &self,
        viewer: Viewer,
        id: SongId,
        at_ms: u64,
        name: &str,
    ) -> Result<MarkerView, ServiceError> {
        let song = self.changeable(viewer, id).await?;
        let marker = Marker { id: MarkerId::random(), at_ms, name: parsed(name)? };
        if !self.ports().songs.insert_marker(song.id(), &marker, Marker::MOST).await? {
            let message = "the song has 200 markers, the maximum; delete one that is no longer needed";
            return Err(ServiceError::Conflict { message, field: None });
        }
        Ok(marker.into())
    }

    /// Changes the time or the name of a marker, or both.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the name, [`ServiceError::NotFound`], also for a marker of another song;
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn change_marker(
        &self,
        viewer: Viewer,
        id: SongId,
        marker: MarkerId,
        at_ms: Option<u64>,
        name: Option<&str>,
    ) -> Result<MarkerView, ServiceError> {
        let song = self.changeable(viewer, id).await?;
        let (songs, name) = (&self.ports().songs, name.map(parsed).transpose()?);
        songs.change_marker(song.id(), marker, at_ms, name.as_ref()).await?;
        let changed = songs.markers(song.id()).await?.into_iter().find(|found| found.id == marker);
        changed.map(MarkerView::from).ok_or(NO_MARKER)
    }

    /// Deletes a marker.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a marker of another song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn remove_marker(&self, viewer: Viewer, id: SongId, marker: MarkerId) -> Result<(), ServiceError> {
        let song = self.changeable(viewer, id).await?;
        if self.ports().songs.remove_marker(song.id(), marker).await? { Ok(()) } else { Err(NO_MARKER) }
    }
}

const NO_MARKER: ServiceError = ServiceError::NotFound { what: "marker" };

/// Parses the name of a marker.
fn parsed(name: &str) -> Result<Title, ServiceError> {
    Title::parse(name, Marker::MAX_NAME_CHARS).map_err(|error| ServiceError::invalid_name("name", error))
}
