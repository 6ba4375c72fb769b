//! Parts on their way out.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode, header};
use vocalizer_core::api::ErrorCode;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::{Origin, PartFile};

use super::{Answer, archive};
use crate::app::App;
use crate::body::{blob, full};
use crate::failure::Failure;
use crate::range::Selection;
use crate::request::Request;
use crate::sniff::{HEAD_BYTES, sniff};
use crate::{conditional, disposition};

/// Others' caches must not keep it, the listener's own asks whether it is still so.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

pub(super) async fn part(app: &Arc<App>, request: &Request) -> Answer {
    let name: String = request.param("file")?;
    match name.as_str() {
        "stems.zip" => return archive::stems(app, request, archive::Kind::Zip).await,
        "stems.tar" => return archive::stems(app, request, archive::Kind::Tar).await,
        _ => {}
    }
    let (part, format) = name.rsplit_once('.').ok_or_else(Failure::not_found)?;
    let part: Part = part.parse().map_err(|_| Failure::not_found())?;
    let format: Format = format.parse().map_err(|_| Failure::not_found())?;
    let file = app.songs.part(request.viewer(), request.param("song_id")?, part, format).await?;
    let etag = format!("\"{}\"", file.tag);
    let (media_type, extension) = media(app, &file, format).await?;

    let mut response = Response::new(full(bytes::Bytes::new()));
    if conditional::not_modified(&request.headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let ranged = request.method == Method::GET && conditional::range_holds(&request.headers, &etag);
        let selection = if ranged { Selection::of(&request.headers, file.size_bytes) } else { Selection::Whole };
        let content_range = selection.content_range(file.size_bytes);
        let range = match &selection {
            Selection::Whole => None,
            Selection::Part(range) => Some(range.clone()),
            Selection::Unsatisfiable => {
                let message = format!("the range is not within the {} bytes there are", file.size_bytes);
                let failure = Failure::new(ErrorCode::RangeNotSatisfiable, message);
                let mut response = failure.into_response().map(full);
                response.headers_mut().extend(content_range.map(|range| (header::CONTENT_RANGE, range)));
                return Ok(response);
            }
        };
        *response.status_mut() = selection.status();
        let reader = app.songs.open(&file, range).await?;
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(reader.size_bytes()));
        response.headers_mut().extend(content_range.map(|range| (header::CONTENT_RANGE, range)));
        *response.body_mut() = blob(reader);
    }
    let kind = if request.query().has("download") { disposition::Kind::Attachment } else { disposition::Kind::Inline };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, disposition::header(kind, &file.title, part, extension));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.extend(HeaderValue::try_from(etag).ok().map(|etag| (header::ETAG, etag)));
    Ok(response)
}

/// What the bytes are: for an upload whatever was uploaded, whatever the address says.
async fn media(app: &Arc<App>, file: &PartFile, format: Format) -> Result<(&'static str, &'static str), Failure> {
    match (file.origin, format) {
        (Origin::Upload, _) => {
            let mut head = app.songs.open(file, Some(0..HEAD_BYTES.min(file.size_bytes))).await?;
            let chunk = head.next_chunk().await.map_err(vocalizer_core::service::ServiceError::from)?;
            Ok(sniff(&chunk.unwrap_or_default()))
        }
        (Origin::Made, Format::Mp3) => Ok(("audio/mpeg", "mp3")),
        (Origin::Made, Format::Wav) => Ok(("audio/wav", "wav")),
        (Origin::Made, Format::Flac) => Ok(("audio/flac", "flac")),
    }
}
