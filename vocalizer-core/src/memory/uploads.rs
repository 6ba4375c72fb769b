//! Resumable uploads in memory.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::MemorySongs;
use crate::api::id::UploadId;
use crate::ports::{PartialUpload, RepositoryError, UploadBounds, UploadRepository, UploadTotals};
use crate::quota::Uploader;
use crate::song::SongId;

/// Counts unfinished uploads.
fn totals<'a>(uploads: impl IntoIterator<Item = &'a PartialUpload>) -> UploadTotals {
    let unfinished = uploads.into_iter().filter(|upload| upload.song.is_none());
    unfinished.fold(UploadTotals::default(), |totals, upload| totals.with(upload.size_bytes))
}

#[async_trait]
impl UploadRepository for MemorySongs {
    async fn create_upload(
        &self,
        upload: &PartialUpload,
        uploader: &Uploader,
        bounds: &UploadBounds,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        if state.uploads.iter().any(|other| other.id == upload.id) {
            return Err(RepositoryError::Conflict);
        }
        let own = totals(state.uploads.iter().filter(|other| other.uploader == upload.uploader));
        let admitted = bounds.admit(upload.size_bytes, own, totals(&state.uploads), state.usage(uploader));
        let has_room = admitted.map_err(RepositoryError::Exceeded)?;
        if has_room {
            state.uploads.push(upload.clone());
        }
        Ok(has_room)
    }

    async fn find_upload(&self, id: UploadId) -> Result<Option<PartialUpload>, RepositoryError> {
        Ok(self.state().uploads.iter().find(|upload| upload.id == id).cloned())
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        from: u64,
        to: u64,
        expires_at: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let is_there =
            |upload: &&mut PartialUpload| upload.id == id && upload.received_bytes == from && upload.song.is_none();
        let Some(upload) = state.uploads.iter_mut().find(is_there) else { return Ok(false) };
        (upload.received_bytes, upload.expires_at) = (to, expires_at);
        Ok(true)
    }

    async fn finish_upload(&self, id: UploadId, song: SongId) -> Result<(), RepositoryError> {
        if let Some(upload) = self.state().uploads.iter_mut().find(|upload| upload.id == id) {
            upload.song = Some(song);
        }
        Ok(())
    }

    async fn remove_upload(&self, id: UploadId) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let before = state.uploads.len();
        state.uploads.retain(|upload| upload.id != id);
        Ok(state.uploads.len() < before)
    }

    async fn expired_uploads(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<UploadId>, RepositoryError> {
        let state = self.state();
        let mut expired: Vec<_> = state.uploads.iter().filter(|upload| upload.expires_at <= now).collect();
        expired.sort_by_key(|upload| (upload.expires_at, upload.id));
        Ok(expired.into_iter().take(limit as usize).map(|upload| upload.id).collect())
    }

    async fn uploads(&self) -> Result<Vec<UploadId>, RepositoryError> {
        Ok(self.state().uploads.iter().map(|upload| upload.id).collect())
    }

    async fn unfinished_uploads(&self) -> Result<UploadTotals, RepositoryError> {
        Ok(totals(&self.state().uploads))
    }
}
