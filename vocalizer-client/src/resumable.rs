//! Resumable uploads: tus 1.0.0, in parts that continue where the server's bytes end.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::sleep;
use vocalizer_api::id::UploadId;
use vocalizer_api::{ApiError, ErrorCode, SongView, UploadData, UploadView};

use crate::{Client, Error, Upload};

/// Larger songs are uploaded in this way, if the server supports it.
pub(crate) const THRESHOLD_BYTES: u64 = 8 * 1024 * 1024;

/// The header of the protocol's version.
const VERSION: (&str, &str) = ("tus-resumable", "1.0.0");

/// An upload as the server knows it.
struct Place {
    id: UploadId,
    received_bytes: u64,
    /// Whether the server has told the offset since the last failure.
    is_known: bool,
}

impl Client {
    /// Uploads a song in parts. Returns `None` if the server has no resumable uploads.
    pub(crate) async fn upload_in_parts(
        &self,
        upload: &mut Upload,
        size_bytes: u64,
    ) -> Result<Option<SongView>, Error> {
        let mut retry = self.retries();
        let mut place = None;
        loop {
            let before = place.as_ref().map_or(0, |place: &Place| place.received_bytes);
            let error = match self.next_part(upload, size_bytes, &mut place).await {
                Ok(Some(song)) => return Ok(Some(song)),
                Ok(None) => {
                    retry.reset();
                    continue;
                }
                // A proxy in between may not know these paths.
                Err(Error::Api { status: 404 | 405, .. } | Error::WrongType { status: 404 | 405 | 501, .. })
                    if place.is_none() =>
                {
                    return Ok(None);
                }
                Err(error) => error,
            };
            if let Some(place) = &mut place {
                place.is_known = false;
            }
            if place.as_ref().is_some_and(|place| place.received_bytes > before) {
                retry.reset();
            }
            let pause = match is_behind(&error) {
                // The upload has expired, or another request continues it.
                true => retry.next_pause(Duration::ZERO),
                false => retry.after(&error),
            };
            if is_gone(&error) {
                place = None;
            }
            let Some(pause) = pause else { return Err(error) };
            sleep(pause).await;
        }
    }

    /// Creates the upload, asks for its offset, or sends the next part. Returns the song after the last one.
    async fn next_part(
        &self,
        upload: &mut Upload,
        size_bytes: u64,
        place: &mut Option<Place>,
    ) -> Result<Option<SongView>, Error> {
        let Some(known) = place else {
            let request = self.request(Method::POST, "songs/uploads")?.header(VERSION.0, VERSION.1);
            let request = request.header("upload-length", size_bytes).header("upload-metadata", upload.metadata());
            let UploadView { id, received_bytes, .. } = self.call::<UploadData>(request).await?.upload;
            *place = Some(Place { id, received_bytes, is_known: true });
            return Ok(None);
        };
        let path = format!("songs/uploads/{}", known.id);
        if !known.is_known {
            let request = self.request(Method::GET, &path)?;
            let UploadView { received_bytes, song_id, .. } = self.call::<UploadData>(request).await?.upload;
            // Only the last response was lost.
            if let Some(song) = song_id {
                return self.song(song).await.map(Some);
            }
            (known.received_bytes, known.is_known) = (received_bytes.min(size_bytes), true);
        }
        let offset = known.received_bytes;
        let (body, part_bytes, timer) =
            upload.part(offset, size_bytes, self.settings.stall_timeout, self.settings.timeout).await?;
        let request = self
            .request(Method::PATCH, &path)?
            .header(VERSION.0, VERSION.1)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(CONTENT_LENGTH, part_bytes)
            .header("upload-offset", offset)
            .body(body);
        let sent = timer.watch(self.call_unbounded::<UploadData>(request)).await;
        if let Some(error) = timer.failure() {
            return Err(upload.source_error(error));
        }
        let UploadData { upload: view, song } = sent?;
        known.received_bytes = view.received_bytes.min(size_bytes);
        // A server that stored nothing must not keep the client busy without end.
        if song.is_none() && view.received_bytes <= offset {
            return Err(Error::malformed(200, "the server has stored none of the bytes"));
        }
        Ok(song)
    }
}

/// Whether the server knows another state of the upload than the client.
fn is_behind(error: &Error) -> bool {
    let Error::Api { errors, .. } = error else { return false };
    let is_behind = |error: &ApiError| match error.code {
        ErrorCode::Conflict => error.field.is_none(),
        ErrorCode::Timeout => true,
        _ => false,
    };
    is_gone(error) || errors.iter().any(is_behind)
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api { status: 404, .. })
}
