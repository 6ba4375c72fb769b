//! Parts on their way out.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::{Origin, PartFile};

use super::{Answer, archive, download};
use crate::app::App;
use crate::disposition;
use crate::failure::Failure;
use crate::request::Request;
use crate::sniff::{HEAD_BYTES, sniff};

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
    let (media_type, extension) = media(app, &file, format).await?;
    let kind = if request.query().has("download") { disposition::Kind::Attachment } else { disposition::Kind::Inline };
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition::header(kind, &file.title, part, extension)),
    ]);
    download::file(request, &file.tag, file.size_bytes, headers, |range| app.songs.open(&file, range)).await
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
