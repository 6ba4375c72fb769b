//! Parts on their way out.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, header};
use vocalizer_core::api::{PeaksData, PeaksView};
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::service::{Levels, Origin, PartFile};

use super::{Answer, archive, download, whole};
use crate::app::App;
use crate::body::blob;
use crate::failure::Failure;
use crate::request::Request;
use crate::sniff::{HEAD_BYTES, sniff};
use crate::{answer, disposition};

pub(super) async fn part(app: &Arc<App>, request: &Request) -> Answer {
    let name: String = request.param("file")?;
    match name.as_str() {
        "stems.zip" => return archive::stems(app, request, archive::Kind::Zip).await,
        "stems.tar" => return archive::stems(app, request, archive::Kind::Tar).await,
        _ => {}
    }
    let (part, format) = name.rsplit_once('.').ok_or_else(Failure::not_found)?;
    let format: Format = format.parse().map_err(|_| Failure::not_found())?;
    if part == "mix" {
        return mix(app, request, format).await;
    }
    let part: Part = part.parse().map_err(|_| Failure::not_found())?;
    let file = app.songs.part(request.viewer(), request.param("song_id")?, part, format).await?;
    let (media_type, extension) = media(app, &file, format).await?;
    let kind = if request.query().has("download") { disposition::Kind::Attachment } else { disposition::Kind::Inline };
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition::header(kind, &file.title, part, extension)),
    ]);
    download::file(request, &file.tag, file.size_bytes, headers, |range| app.songs.open(&file, range)).await
}

/// The stems, each as loud as the query says, as one file. It is made for this request alone, so there are no ranges.
async fn mix(app: &Arc<App>, request: &Request, format: Format) -> Answer {
    let (query, mut levels) = (request.query(), Levels::PLAIN);
    for stem in Stem::FOUR {
        let with = |text: &str| levels.with(stem, text.parse().ok()?);
        levels = query.get(stem.name(), with)?.unwrap_or(levels);
    }
    let mix = app.songs.mix(request.viewer(), request.param("song_id")?, &levels, format).await?;
    let (media_type, extension) = of(format);
    let size_bytes = mix.reader.size_bytes();
    let mut response = Response::new(blob(mix.reader));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::CONTENT_DISPOSITION, disposition::whole_header(&mix.title, "mix", extension));
    Ok(response)
}

pub(super) async fn peaks(app: &Arc<App>, request: &Request) -> Answer {
    let part = request.param("part")?;
    let peaks = app.songs.peaks(request.viewer(), request.param("song_id")?, part).await?;
    Ok(whole(answer::success(&PeaksData { peaks: PeaksView::from(&peaks) })))
}

/// What is made in a format.
const fn of(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Mp3 => ("audio/mpeg", "mp3"),
        Format::Wav => ("audio/wav", "wav"),
        Format::Flac => ("audio/flac", "flac"),
    }
}

/// What the bytes are: for an upload whatever was uploaded, whatever the address says.
async fn media(app: &Arc<App>, file: &PartFile, format: Format) -> Result<(&'static str, &'static str), Failure> {
    match (file.origin, format) {
        (Origin::Upload, _) => {
            let mut head = app.songs.open(file, Some(0..HEAD_BYTES.min(file.size_bytes))).await?;
            let chunk = head.next_chunk().await.map_err(vocalizer_core::service::ServiceError::from)?;
            Ok(sniff(&chunk.unwrap_or_default()))
        }
        (Origin::Made, format) => Ok(of(format)),
    }
}
