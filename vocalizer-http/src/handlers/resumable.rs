//! Resumable uploads: tus 1.0.0 with creation, creation-with-upload, expiration and termination.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Instrument as _;
use vocalizer_core::api::id::UploadId;
use vocalizer_core::api::{ErrorCode, SongView, UploadData, UploadView};
use vocalizer_core::service::{ResumableUpload, ServiceError};
use vocalizer_core::song::Title;

use super::{Answer, to_completion, whole};
use crate::answer;
use crate::app::App;
use crate::body::{Body, RequestBody, full};
use crate::failure::Failure;
use crate::form::{malformed, text};
use crate::request::Request;
use crate::upload_fields::{UploadFields, keep_key};

/// The path of all resumable uploads. Every response below it has the protocol's version.
pub(crate) const PATH: &str = "/songs/uploads";

/// The version of the protocol.
pub(crate) const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");

/// The header with the version.
pub(crate) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");

/// The extensions of the protocol.
const EXTENSIONS: HeaderValue = HeaderValue::from_static("creation,creation-with-upload,expiration,termination");

const VERSIONS: HeaderName = HeaderName::from_static("tus-version");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const SONG: HeaderName = HeaderName::from_static("song-id");

/// The content type of bytes.
const PIECE: &str = "application/offset+octet-stream";

/// Maximum size of the metadata, as text.
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// Maximum number of metadata fields.
const MAX_METADATA_FIELDS: usize = 32;

pub(crate) async fn options(app: &Arc<App>, _: Request) -> Answer {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(VERSIONS, VERSION);
    headers.insert("tus-extension", EXTENSIONS);
    headers.insert("tus-max-size", HeaderValue::from(app.songs.settings().limits.max_upload_bytes));
    Ok(response)
}

pub(crate) async fn create(app: &Arc<App>, request: Request) -> Answer {
    if let Some(refused) = other_version(&request.headers) {
        return Ok(refused);
    }
    check_session(&request)?;
    let size_bytes = length(&request.headers)?;
    let has_bytes = is_piece(&request.headers);
    if !has_bytes && request.headers.contains_key(header::CONTENT_TYPE) && !is_empty(&request.headers) {
        return Err(wrong_type());
    }
    let mut fields = metadata(&request.headers)?;
    keep_key(&mut fields, &request.headers)?;
    let (viewer, address) = (request.viewer(), request.peer.address);
    let id = check_fields(app, &fields)?.chosen_id(viewer);
    let created = app.songs.create_resumable(viewer, address, size_bytes, fields, id).await?;
    let (mut upload, mut song) = (created, None);
    if has_bytes {
        let resumed = app.songs.resume(viewer, upload.id).await?;
        let body = request.body;
        let (continued, is_cut) = continue_in_task(app, resumed, body).await?;
        upload = continued.view();
        // The client continues with the ID that it gets now.
        if is_cut.is_none() && continued.is_complete() {
            (upload, song) = finish(continued, address).await?;
        }
    }
    // Relative, because a proxy may serve it under another path.
    let location = HeaderValue::try_from(format!("uploads/{}", upload.id)).map_err(Failure::internal)?;
    let mut response = whole(answer::success(&UploadData { upload: upload.clone(), song }));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::LOCATION, location);
    describe(response.headers_mut(), &upload);
    Ok(response)
}

/// Also for `HEAD`, which is how clients ask for the offset.
pub(crate) async fn get(app: &Arc<App>, request: Request) -> Answer {
    if request.headers.contains_key(RESUMABLE)
        && let Some(refused) = other_version(&request.headers)
    {
        return Ok(refused);
    }
    check_session(&request)?;
    let upload = app.songs.resumable(request.viewer(), request.param("upload_id")?).await?;
    let mut response = whole(answer::success(&UploadData { upload: upload.clone(), song: None }));
    describe(response.headers_mut(), &upload);
    Ok(response)
}

pub(crate) async fn append(app: &Arc<App>, request: Request) -> Answer {
    if let Some(refused) = other_version(&request.headers) {
        return Ok(refused);
    }
    check_session(&request)?;
    if !is_piece(&request.headers) {
        return Err(wrong_type());
    }
    let id: UploadId = request.param("upload_id")?;
    let offset = number(&request.headers, &OFFSET)?
        .ok_or_else(|| malformed("Upload-Offset is missing: where do the bytes begin?"))?;
    let (address, wants_json) = (request.peer.address, wants_json(&request.headers));
    let upload = app.songs.resume(request.viewer(), id).await?;
    let UploadView { size_bytes, received_bytes, .. } = upload.view();
    if offset != received_bytes {
        let message = format!("Upload-Offset must be {received_bytes}: so many bytes are stored");
        return Ok(conflict(message, &upload.view()));
    }
    let declared_bytes = number(&request.headers, &header::CONTENT_LENGTH).unwrap_or_default();
    if declared_bytes.is_some_and(|declared_bytes| declared_bytes > size_bytes - received_bytes) {
        return Err(ServiceError::TooLarge { max_bytes: size_bytes }.into());
    }
    let (upload, is_cut) = continue_in_task(app, upload, request.body).await?;
    match is_cut {
        Some(Cut::Interrupted) => {
            return Ok(conflict("another request continues this upload".to_owned(), &upload.view()));
        }
        Some(Cut::Failed(failure)) => return Err(failure),
        None => {}
    }
    let (upload, song) = match upload.is_complete() {
        true => finish(upload, address).await?,
        false => (upload.view(), None),
    };
    let mut response = match wants_json {
        true => whole(answer::success(&UploadData { upload: upload.clone(), song })),
        false => {
            let mut response = Response::new(full(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    };
    describe(response.headers_mut(), &upload);
    Ok(response)
}

pub(crate) async fn terminate(app: &Arc<App>, request: Request) -> Answer {
    if let Some(refused) = other_version(&request.headers) {
        return Ok(refused);
    }
    check_session(&request)?;
    let upload = app.songs.resume(request.viewer(), request.param("upload_id")?).await?;
    to_completion(async move { upload.remove().await }).await?;
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Why a request ended before its body.
enum Cut {
    /// Another request continues the upload.
    Interrupted,
    /// The connection failed or was too slow, or the server stops.
    Failed(Failure),
}

/// Stores the body in a separate task: what has arrived counts, even if the client disconnects.
async fn continue_in_task(
    app: &Arc<App>,
    mut upload: ResumableUpload,
    mut body: RequestBody,
) -> Result<(ResumableUpload, Option<Cut>), Failure> {
    let app = Arc::clone(app);
    let task = async move {
        let cut = loop {
            let chunk = tokio::select! {
                biased;
                () = app.closing.cancelled() => {
                    break Some(Cut::Failed(Failure::busy("the server stops; continue the upload later")));
                }
                () = upload.interrupted() => break Some(Cut::Interrupted),
                chunk = body.next() => chunk,
            };
            match chunk {
                None => break None,
                Some(Err(failure)) => break Some(Cut::Failed(failure)),
                Some(Ok(bytes)) => {
                    app.metrics.uploaded(bytes.len() as u64);
                    upload.write(bytes).await?;
                }
            }
        };
        upload.save().await?;
        Ok::<_, Failure>((upload, cut))
    };
    tokio::spawn(task.in_current_span()).await.map_err(Failure::internal)?
}

/// Makes the song from a complete upload.
async fn finish(upload: ResumableUpload, address: std::net::IpAddr) -> Result<(UploadView, Option<SongView>), Failure> {
    let fields = UploadFields::kept(upload.fields())?;
    let title = fields.title.clone().unwrap_or_default();
    let mut view = upload.view();
    let song = to_completion(async move { upload.finish(address, &title, |song| fields.prepare(song)).await }).await?;
    view.song_id = Some(song.id);
    Ok((view, Some(song)))
}

/// Reads the fields and checks what can be checked before the bytes arrive.
fn check_fields(app: &App, fields: &BTreeMap<String, String>) -> Result<UploadFields, Failure> {
    let read = UploadFields::kept(fields)?;
    app.songs.check_choice(&read.choice)?;
    let missing = || Failure::field("title", "Upload-Metadata must have a title or a filename");
    let title = Title::parse(read.title.as_ref().ok_or_else(missing)?, app.songs.settings().limits.max_title_chars);
    title.map_err(|error| Failure::field("title", error.to_string()))?;
    Ok(read)
}

/// A private upload must not become public because the session has expired.
fn check_session(request: &Request) -> Result<(), Failure> {
    if request.caller.lapsed {
        let message = "session expired; log in again, or upload anonymously without the cookie";
        return Err(Failure::new(ErrorCode::Unauthenticated, message));
    }
    Ok(())
}

/// Returns the response to a client with another version of the protocol, or with none.
fn other_version(headers: &HeaderMap) -> Option<Response<Body>> {
    if headers.get(RESUMABLE).is_some_and(|version| version == VERSION) {
        return None;
    }
    let failure = Failure::new(ErrorCode::Unsupported, "send Tus-Resumable: 1.0.0, the protocol of these uploads");
    let mut response = failure.into_response().map(full);
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    response.headers_mut().insert(VERSIONS, VERSION);
    Some(response)
}

fn conflict(message: String, upload: &UploadView) -> Response<Body> {
    let mut response = Failure::new(ErrorCode::Conflict, message).into_response().map(full);
    describe(response.headers_mut(), upload);
    response
}

/// Adds the state of an upload.
fn describe(headers: &mut HeaderMap, upload: &UploadView) {
    headers.insert(OFFSET, HeaderValue::from(upload.received_bytes));
    headers.insert(LENGTH, HeaderValue::from(upload.size_bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let expires = OffsetDateTime::parse(&upload.expires_at, &Rfc3339).ok().filter(|at| at.unix_timestamp() >= 0);
    if let Some(expires) = expires.and_then(|at| HeaderValue::try_from(httpdate::fmt_http_date(at.into())).ok()) {
        headers.insert(EXPIRES, expires);
    }
    if let Some(song) = upload.song_id.and_then(|song| HeaderValue::try_from(song.to_string()).ok()) {
        headers.insert(SONG, song);
    }
}

/// Returns the declared size of the file.
fn length(headers: &HeaderMap) -> Result<u64, Failure> {
    if headers.contains_key("upload-defer-length") {
        return Err(malformed(
            "Upload-Defer-Length is not supported; send Upload-Length, the size of the file in bytes",
        ));
    }
    if headers.contains_key("upload-concat") {
        return Err(malformed("Upload-Concat is not supported; upload the file as a whole"));
    }
    number(headers, &LENGTH)?.ok_or_else(|| malformed("Upload-Length is missing: the size of the file in bytes"))
}

/// Returns a whole number in a header.
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    // Without the sign that `parse` accepts.
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (number, values.next()) {
        (Some(number), None) => Ok(Some(number)),
        _ => Err(malformed(format!("{name} must be one whole number"))),
    }
}

/// Returns the client's metadata: names, each with a value in base64 or without one.
fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Failure> {
    let mut fields = BTreeMap::new();
    let mut left_bytes = MAX_METADATA_BYTES;
    for value in headers.get_all("upload-metadata") {
        let line = value.to_str().map_err(|_| malformed("Upload-Metadata must be ASCII"))?;
        left_bytes = left_bytes.checked_sub(line.len()).ok_or_else(|| {
            Failure::new(ErrorCode::TooLarge, format!("Upload-Metadata is longer than {MAX_METADATA_BYTES} bytes"))
        })?;
        for pair in line.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            let decoded = STANDARD.decode(encoded.trim());
            let decoded =
                decoded.map_err(|_| malformed(format!("Upload-Metadata: the value of {name} is not base64")))?;
            if fields.len() == MAX_METADATA_FIELDS {
                return Err(malformed(format!("Upload-Metadata has more than {MAX_METADATA_FIELDS} fields")));
            }
            if fields.insert(name.to_owned(), text(&decoded)?).is_some() {
                return Err(malformed(format!("Upload-Metadata has {name} twice")));
            }
        }
    }
    Ok(fields)
}

fn is_piece(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PIECE)
}

fn is_empty(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == HeaderValue::from(0))
}

fn wrong_type() -> Failure {
    Failure::new(ErrorCode::Unsupported, format!("the bytes of an upload must have Content-Type: {PIECE}"))
}

/// The protocol's answer has no body. A client that asks for JSON by name gets the song.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = |kind: &str| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    accept.split(',').any(named)
}
