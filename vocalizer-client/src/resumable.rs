//! Resumable uploads: tus 1.0.0, in parts that continue where the server's bytes end.

use std::io;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::sleep;
use vocalizer_api::id::UploadId;
use vocalizer_api::{ApiError, ErrorCode, SongView, UploadData, UploadView};

use crate::{Client, Error, Upload, answer};

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
    /// Begins a resumable upload without sending bytes. A program that keeps the ID can
    /// [continue](Self::continue_upload) the upload after a restart. [`upload`](Self::upload) needs no ID.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// let upload = || Upload::from_bytes("Clair de lune", "clair.flac", "any bytes");
    /// let begun = client.begin_upload(&mut upload()).await?;
    /// assert_eq!((begun.size_bytes, begun.received_bytes), (9, 0));
    ///
    /// // Later, perhaps after a restart.
    /// let song = client.continue_upload(begun.id, upload()).await?;
    /// assert_eq!(client.upload_state(begun.id).await?.song_id, Some(song.id));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Source`] for a stream of unknown size, [`Error::File`] if the file cannot be read, [`Error::Api`] if the server
    /// has no resumable uploads, or rejects the size, the title, the model or the stems.
    pub async fn begin_upload(&self, upload: &mut Upload) -> Result<UploadView, Error> {
        let size_bytes = upload.size_bytes().await?.ok_or_else(unknown_size)?;
        self.create_upload(upload.metadata(), size_bytes).await
    }

    /// Continues a resumable upload where the server's bytes end, and returns the song. It is retried as
    /// [`upload`](Self::upload) is. If the server no longer has the upload, it begins again, which counts as a retry.
    ///
    /// See [`begin_upload`](Self::begin_upload) for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Self::begin_upload`] and [`Self::upload`].
    pub async fn continue_upload(&self, id: UploadId, mut upload: Upload) -> Result<SongView, Error> {
        let size_bytes = upload.size_bytes().await?.ok_or_else(unknown_size)?;
        let place = Place { id, received_bytes: 0, is_known: false };
        match self.upload_from(&mut upload, size_bytes, Some(place)).await? {
            Some(song) => Ok(song),
            None => self.upload(upload).await,
        }
    }

    /// Returns the state of a resumable upload: how many bytes the server has, and the song once it is finished.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let mut upload = Upload::from_bytes("Clair de lune", "clair.flac", "any bytes");
    /// # let id = client.begin_upload(&mut upload).await?.id;
    /// let state = client.upload_state(id).await?;
    /// println!("{} of {} bytes, kept until {}", state.received_bytes, state.size_bytes, state.expires_at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`] if it does not exist, has expired or belongs to another user.
    pub async fn upload_state(&self, id: UploadId) -> Result<UploadView, Error> {
        self.read::<UploadData>(&format!("songs/uploads/{id}")).await.map(|data| data.upload)
    }

    /// Deletes a resumable upload and its bytes. The song of a finished one stays.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let mut upload = Upload::from_bytes("Clair de lune", "clair.flac", "any bytes");
    /// # let id = client.begin_upload(&mut upload).await?.id;
    /// client.delete_upload(id).await?;
    /// assert!(client.upload_state(id).await.is_err_and(|error| error.has_code(ErrorCode::NotFound)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::upload_state`].
    pub async fn delete_upload(&self, id: UploadId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/uploads/{id}"))?.header(VERSION.0, VERSION.1);
        let response = self.exchange(request.timeout(self.settings.timeout)).await?;
        answer::nothing(response, self.settings.max_answer_bytes).await
    }

    async fn create_upload(&self, metadata: String, size_bytes: u64) -> Result<UploadView, Error> {
        let request = self.request(Method::POST, "songs/uploads")?.header(VERSION.0, VERSION.1);
        let request = request.header("upload-length", size_bytes).header("upload-metadata", metadata);
        self.call::<UploadData>(request).await.map(|data| data.upload)
    }

    /// Uploads a song in parts. Returns `None` if the server has no resumable uploads.
    pub(crate) async fn upload_in_parts(
        &self,
        upload: &mut Upload,
        size_bytes: u64,
    ) -> Result<Option<SongView>, Error> {
        self.upload_from(upload, size_bytes, None).await
    }

    async fn upload_from(
        &self,
        upload: &mut Upload,
        size_bytes: u64,
        mut place: Option<Place>,
    ) -> Result<Option<SongView>, Error> {
        let mut retry = self.retries();
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
            let UploadView { id, received_bytes, .. } = self.create_upload(upload.metadata(), size_bytes).await?;
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

fn unknown_size() -> Error {
    let why = "the size of the stream is unknown: a resumable upload needs it";
    Error::Source(io::Error::new(io::ErrorKind::InvalidInput, why))
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
