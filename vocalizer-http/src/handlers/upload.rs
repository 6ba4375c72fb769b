//! Song uploads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderValue, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use vocalizer_core::api::{ErrorCode, SongData};
use vocalizer_core::service::{ServiceError, SongUpload};

use super::{Answer, success, to_completion};
use crate::app::App;
use crate::body::{RequestBody, full};
use crate::failure::Failure;
use crate::form::{malformed, text};
use crate::request::Request;
use crate::upload_fields::UploadFields;

/// Maximum size of a form without the file: title, names and boundaries. The form parser rescans its buffer from the
/// start, so much data outside the file would be slow.
const MAX_OVERHEAD_BYTES: u64 = 64 * 1024;

/// Maximum number of file bytes buffered in the form parser.
const MAX_BUFFERED_BYTES: u64 = 64 * 1024;

/// Maximum title size that is read; the limit in characters is checked later.
const MAX_TITLE_BYTES: u64 = 16 * 1024;

/// Maximum size of an ID that is read.
const MAX_ID_BYTES: u64 = 256;

/// Maximum size of a list of stems that is read.
const MAX_STEMS_BYTES: u64 = 4 * 1024;

/// Maximum number of form parts: two are needed, and some clients add their own.
const MAX_PARTS: usize = 16;

pub(crate) async fn upload(app: &Arc<App>, request: Request) -> Answer {
    let max_bytes = app.songs.settings().limits.max_upload_bytes;
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = match multer::parse_boundary(kind) {
        Ok(boundary) => boundary,
        Err(multer::Error::NoBoundary) => return Err(malformed("the form's Content-Type has no boundary")),
        Err(_) => {
            return Err(Failure::new(ErrorCode::Unsupported, "an upload must be multipart/form-data"));
        }
    };
    let most_bytes = max_bytes.saturating_add(MAX_OVERHEAD_BYTES);
    let length = request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length_bytes| length_bytes > most_bytes) {
        let mut response = Failure::from(ServiceError::TooLarge { max_bytes }).into_response().map(full);
        if request.headers.contains_key(header::EXPECT) {
            // The client need not send the body, so its next request would be taken for it.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        return Ok(response);
    }
    // A private upload must not become public because the session has expired.
    if request.caller.lapsed {
        let message = "session expired; log in again, or upload anonymously without the cookie";
        return Err(Failure::new(ErrorCode::Unauthenticated, message));
    }
    let mut fields = UploadFields::default();
    fields.set_key(&request.headers)?;
    let (viewer, address) = (request.viewer(), request.peer.address);
    let file_bytes = Arc::<AtomicU64>::default();
    let body = Bounded { body: request.body, received_bytes: 0, file_bytes: Arc::clone(&file_bytes) };
    let limits = SizeLimit::new()
        .whole_stream(most_bytes)
        .for_field("title", MAX_TITLE_BYTES)
        .for_field("id", MAX_ID_BYTES)
        .for_field("duplicates", MAX_ID_BYTES)
        .for_field("model", MAX_ID_BYTES)
        .for_field("stems", MAX_STEMS_BYTES);
    let mut form = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
    let mut file = None::<SongUpload>;
    let mut parts = 0;
    while let Some(field) = form.next_field().await.map_err(|error| form_error(error, max_bytes))? {
        parts += 1;
        if parts > MAX_PARTS {
            return Err(malformed(format!("the form has more than {MAX_PARTS} parts")));
        }
        match field.name() {
            Some(name) if UploadFields::NAMES.contains(&name) => {
                let name = name.to_owned();
                let bytes = field.bytes().await.map_err(|error| form_error(error, max_bytes))?;
                fields.set(&name, text(&bytes)?)?;
            }
            Some("file") if file.is_none() => {
                let mut upload = app.songs.begin_upload_from(viewer, address, fields.chosen_id(viewer)).await?;
                receive(field, &mut upload, app, &file_bytes).await?;
                file = Some(upload);
            }
            Some("file") => return Err(malformed("duplicate form field: file")),
            // Unknown fields are skipped.
            _ => {}
        }
    }
    let Some(upload) = file else { return Err(Failure::field("file", "form field missing: file")) };
    let upload = fields.prepare(upload);
    let Some(title) = fields.title else { return Err(Failure::field("title", "form field missing: title")) };
    // A separate task: the upload is complete, so store it even if the client disconnects.
    let song = to_completion(async move { upload.finish(&title).await }).await?;
    success(&SongData { song })
}

async fn receive(
    mut field: Field<'_>,
    upload: &mut SongUpload,
    app: &Arc<App>,
    file_bytes: &AtomicU64,
) -> Result<(), Failure> {
    let max_bytes = app.songs.settings().limits.max_upload_bytes;
    while let Some(chunk) = field.chunk().await.map_err(|error| form_error(error, max_bytes))? {
        file_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        app.metrics.uploaded(chunk.len() as u64);
        upload.write(chunk).await?;
    }
    Ok(())
}

/// A form body with a limit on data outside the file.
struct Bounded {
    body: RequestBody,
    received_bytes: u64,
    /// Bytes that the parser has returned as the file.
    file_bytes: Arc<AtomicU64>,
}

impl Stream for Bounded {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(Pin::new(&mut self.body).poll_next(cx));
        if let Some(Ok(bytes)) = &chunk {
            self.received_bytes += bytes.len() as u64;
            let overhead_bytes = self.received_bytes.saturating_sub(self.file_bytes.load(Ordering::Relaxed));
            if overhead_bytes > MAX_OVERHEAD_BYTES + MAX_BUFFERED_BYTES {
                let message = format!("the form has more than {MAX_OVERHEAD_BYTES} bytes besides the file");
                return Poll::Ready(Some(Err(Failure::new(ErrorCode::TooLarge, message))));
            }
        }
        Poll::Ready(chunk)
    }
}

/// Converts an error of the form parser.
fn form_error(error: multer::Error, max_bytes: u64) -> Failure {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ServiceError::TooLarge { max_bytes }.into(),
        multer::Error::FieldSizeExceeded { field_name: Some(name), .. } if name == "id" => {
            Failure::field("id", "id must be a UUID")
        }
        multer::Error::FieldSizeExceeded { field_name: Some(name), .. } if name == "duplicates" => {
            Failure::field("duplicates", "duplicates must be allow or refuse")
        }
        multer::Error::FieldSizeExceeded { field_name: Some(name), .. } if name == "model" => {
            Failure::field("model", "unknown model")
        }
        multer::Error::FieldSizeExceeded { field_name: Some(name), .. } if name == "stems" => {
            Failure::field("stems", "too many stems")
        }
        multer::Error::FieldSizeExceeded { .. } => Failure::field("title", "the title is too long"),
        multer::Error::StreamReadFailed(source) => match source.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(source) => malformed(format!("invalid form: {source}")),
        },
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders => malformed("form incomplete: the body ends early"),
        other => malformed(format!("invalid form: {other}")),
    }
}
