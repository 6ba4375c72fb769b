//! Downloads of parts, mixes and peaks.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, header};
use vocalizer_core::api::{PeaksData, PeaksView};
use vocalizer_core::part::{Format, Part};
use vocalizer_core::ports::Peaks;
use vocalizer_core::service::{Levels, Origin, PartFile};

use super::{Answer, archive, download, naming, unmade};
use crate::app::App;
use crate::body::{full, stream};
use crate::failure::Failure;
use crate::request::Request;
use crate::sniff::{HEAD_BYTES, sniff};
use crate::{answer, conditional, disposition, fields};

pub(crate) async fn part(app: &Arc<App>, request: Request) -> Answer {
    let name: String = request.param("file")?;
    match name.as_str() {
        "stems.zip" => return archive::stems(app, &request, archive::Kind::Zip).await,
        "stems.tar" => return archive::stems(app, &request, archive::Kind::Tar).await,
        _ => {}
    }
    let (part, format) = name.rsplit_once('.').ok_or_else(Failure::not_found)?;
    let format: Format = format.parse().map_err(|_| Failure::not_found())?;
    if part == "mix" {
        return mix(app, &request, format).await;
    }
    let part: Part = part.parse().map_err(|_| Failure::not_found())?;
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let kind =
        if request.query().has(&fields::DOWNLOAD) { disposition::Kind::Attachment } else { disposition::Kind::Inline };
    let is_preview = request.query().get(&fields::QUALITY, |text| (text == "preview").then_some(true))?.is_some();
    if is_preview && format != Format::Mp3 {
        return Err(Failure::field(fields::QUALITY.name, "previews are MP3 files: request .mp3"));
    }
    let named = naming::label(app, &request).await?;
    let number = match named {
        Some(label) => number(app, &request, part).await?.map(|number| (number, label)),
        None => None,
    };
    let headers = |(media_type, extension), title| {
        let disposition = match &number {
            Some((number, label)) => {
                disposition::named(kind, &disposition::numbered_name(title, *number, part, extension, label))
            }
            None => disposition::header(kind, title, part, extension),
        };
        HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (header::CONTENT_DISPOSITION, disposition),
        ])
    };
    let info = match is_preview {
        true => app.songs.preview_info(viewer, id, part).await?,
        false => app.songs.part_info(viewer, id, part, format).await?,
    };
    let file = match info.file {
        Some(file) => file,
        None if request.method == Method::HEAD => return Ok(unmade(headers(media_of(format), &info.title))),
        None if is_preview => app.songs.preview(request.client(), id, part).await?,
        None => app.songs.part(request.client(), id, part, format).await?,
    };
    let headers = headers(media(app, &file, format).await?, &file.title);
    download::file(&request, &file.tag, file.size_bytes, headers, |range| app.songs.open(&file, range)).await
}

/// Returns the place of a stem among those of its song; `None` for other parts.
async fn number(app: &Arc<App>, request: &Request, part: Part) -> Result<Option<usize>, Failure> {
    let Part::Stem(wanted) = part else { return Ok(None) };
    let (_, stems) = app.songs.stems(request.viewer(), request.param("song_id")?).await?;
    Ok(stems.iter().position(|&stem| stem == wanted).map(|place| place + 1))
}

/// Responds with a mix of the stems at the gains from the query. It is created per request, so ranges are not
/// supported.
async fn mix(app: &Arc<App>, request: &Request, format: Format) -> Answer {
    let (query, mut levels) = (request.query(), Levels::PLAIN);
    for (stem, gain) in fields::GAINS {
        let with = |text: &str| levels.clone().with(stem, text.parse().ok()?);
        levels = query.get(gain, with)?.unwrap_or(levels);
    }
    let others = |text: &str| {
        fields::levels(text)?.into_iter().try_fold(levels.clone(), |levels, (stem, gain)| levels.with(stem, gain))
    };
    levels = query.get(&fields::LEVELS, others)?.unwrap_or(levels);
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let (media_type, extension) = media_of(format);
    let headers = |title| {
        HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
            (header::CONTENT_DISPOSITION, disposition::whole_header(title, "mix", extension)),
        ])
    };
    if request.method == Method::HEAD {
        return Ok(unmade(headers(&app.songs.mix_title(viewer, id, &levels).await?)));
    }
    let mix = app.songs.mix(request.client(), id, &levels, format).await?;
    let size_bytes = mix.blob.size_bytes();
    let mut response = Response::new(stream(mix.blob));
    *response.headers_mut() = headers(&mix.title);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    Ok(response)
}

pub(crate) async fn peaks(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id, part) = (request.viewer(), request.param("song_id")?, request.param("part")?);
    let query = request.query();
    let (from_ms, to_ms) = (query.number(&fields::FROM_MS)?.unwrap_or(0), query.number(&fields::TO_MS)?);
    if to_ms.is_some_and(|to_ms| to_ms <= from_ms) {
        return Err(Failure::field(fields::TO_MS.name, "to_ms must be greater than from_ms"));
    }
    let points = query.number(&fields::POINTS)?.and_then(|points| usize::try_from(points).ok());
    let peaks = match app.songs.known_peaks(viewer, id, part).await? {
        Some(peaks) => peaks,
        None if request.method == Method::HEAD => {
            let json = HeaderValue::from_static("application/json");
            return Ok(unmade(HeaderMap::from_iter([(header::CONTENT_TYPE, json)])));
        }
        None => app.songs.peaks(request.client(), id, part).await?,
    };
    let frame = |ms: u64| ms.saturating_mul(u64::from(peaks.rate_hz())) / 1000;
    let range = frame(from_ms)..to_ms.map_or(u64::MAX, frame);
    let section = peaks.section(range, points.unwrap_or(Peaks::DRAWN));
    let answer = answer::success(&PeaksData { peaks: PeaksView::from(section) });
    Ok(conditional::revalidated(&request.headers, answer).map(full))
}

/// Returns the media type and the file extension of a format.
const fn media_of(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Mp3 => ("audio/mpeg", "mp3"),
        Format::Wav => ("audio/wav", "wav"),
        Format::Flac => ("audio/flac", "flac"),
    }
}

/// Returns the media type and the extension of a file. For an upload they come from its content, not from the URL.
async fn media(app: &Arc<App>, file: &PartFile, format: Format) -> Result<(&'static str, &'static str), Failure> {
    match (file.origin, format) {
        (Origin::Upload, _) => {
            let mut head = app.songs.open(file, Some(0..HEAD_BYTES.min(file.size_bytes))).await?;
            let chunk = head.next_chunk().await.map_err(vocalizer_core::service::ServiceError::from)?;
            Ok(sniff(&chunk.unwrap_or_default()))
        }
        (Origin::Made, format) => Ok(media_of(format)),
    }
}
