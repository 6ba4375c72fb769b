//! Songs and their files.

use std::collections::HashMap;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, ETAG};
use hyper::{Method, Response};
use vocalizer_api::hash::SongHash;
use vocalizer_api::{PeaksData, SongData, SongsData};
use vocalizer_client::{ErrorCode, PeaksView, SongId, SongStatus, SongView};

use super::{Backend, Call, Fault, HttpResponse, Shared, Stored, failure, success};

/// Returns the response; `None` to cut the connection.
pub(super) async fn upload(backend: &Shared, call: &Call<'_>, body: Incoming) -> Option<HttpResponse> {
    let Ok(form) = read_upload(&call.header(CONTENT_TYPE), body).await else {
        return Some(failure(400, ErrorCode::Malformed));
    };
    let backend = &mut *backend.lock().unwrap();
    backend.log.push(format!("upload {}", form.id.as_deref().unwrap_or("without ID")));
    let fault = backend.upload_faults.pop_front();
    match fault {
        Some(Fault::Busy) => return Some(failure(503, ErrorCode::Unavailable)),
        Some(Fault::Cut) => return None,
        _ => {}
    }
    let stored = store(backend, call, form);
    match fault {
        Some(Fault::LostAnswer) => None,
        Some(Fault::LostBehindProxy) => {
            Some(Response::builder().status(504).header(CONTENT_TYPE, "text/html").body(Full::default()).unwrap())
        }
        _ => Some(stored),
    }
}

/// Stores a song. The same bytes with the same ID from the same user make one song.
fn store(backend: &mut Backend, call: &Call<'_>, form: Form) -> HttpResponse {
    let Form { title, id, file_name, bytes } = form;
    let id = id.map_or_else(SongId::random, |id| id.parse().unwrap());
    let hash = SongHash::of(&bytes).to_string();
    if let Some(known) = backend.songs.iter().find(|known| known.view.id == id) {
        let is_same = known.view.hash == hash && known.view.uploader_id == call.user;
        return if is_same {
            success(SongData { song: known.view.clone() })
        } else {
            failure(409, ErrorCode::Conflict)
        };
    }
    let view = SongView::new(id, title, hash, call.user, SongStatus::Uploaded);
    backend.songs.push(Stored { view: view.clone(), file_name, bytes });
    success(SongData { song: view })
}

pub(super) fn answer(backend: &mut Backend, call: &Call<'_>, fields: &HashMap<String, String>) -> HttpResponse {
    let is_visible = |song: &Stored| song.view.uploader_id.is_none() || song.view.uploader_id == call.user;
    let path = &call.path[1..];
    if let (&Method::GET, [""]) = (&call.method, path) {
        if backend.outages > 0 {
            backend.outages -= 1;
            return failure(503, ErrorCode::Unavailable);
        }
        let songs = backend.songs.iter().filter(|song| is_visible(song)).map(|song| &song.view);
        return list(songs, call, backend.max_page.unwrap_or(usize::MAX));
    }
    let found = backend.songs.iter().position(|song| is_visible(song) && song.view.id.to_string() == path[0]);
    let Some(index) = found else { return failure(404, ErrorCode::NotFound) };
    let view = &mut backend.songs[index].view;
    match (&call.method, path) {
        (&Method::GET, [_]) => read(backend, index),
        (&Method::PATCH, [_]) => {
            view.title = fields["title"].clone();
            success(SongData { song: view.clone() })
        }
        (&Method::POST, [_, "retry"]) if view.status == SongStatus::Failed => {
            (view.status, view.failure_reason) = (SongStatus::Uploaded, None);
            success(SongData { song: view.clone() })
        }
        (&Method::POST, [_, "retry"]) => failure(409, ErrorCode::Conflict),
        (&Method::DELETE, [_]) => {
            backend.songs.remove(index);
            success(())
        }
        (&Method::GET, [_, "stems.zip" | "stems.tar"]) => {
            let kind = if path[1].ends_with("zip") { "application/zip" } else { "application/x-tar" };
            let body = format!("the stems as {}", call.query["format"]);
            Response::builder().header(CONTENT_TYPE, kind).body(Full::new(body.into())).unwrap()
        }
        (&Method::GET, [_, file]) if file.starts_with("mix.") => {
            let gains = ["drums", "bass", "other", "vocals"].map(|stem| format!("{stem} {}", call.query[stem]));
            let body = format!("{file}: {}", gains.join(", "));
            Response::builder().header(CONTENT_TYPE, "audio/mpeg").body(Full::new(body.into())).unwrap()
        }
        (&Method::GET, [_, "peaks", part]) => {
            let values = if *part == "drums" { [0, 255] } else { [7, 7] };
            let mut peaks = PeaksView::new(44_100, 3000, 2000, values.to_vec());
            let asked = ["from_ms", "to_ms", "points"].map(|name| call.query.get(name).map(String::as_str));
            if asked == [Some("40"), Some("65"), Some("9")] {
                (peaks.first_frame, peaks.values) = (2000, vec![255]);
            }
            success(PeaksData { peaks })
        }
        (&Method::GET, [_, file]) => part(backend, index, file),
        _ => failure(404, ErrorCode::NotFound),
    }
}

fn list<'a>(songs: impl Iterator<Item = &'a SongView>, call: &Call<'_>, most: usize) -> HttpResponse {
    let status = call.query.get("status");
    let status_name = |song: &SongView| serde_json::to_value(song.status).unwrap().as_str().map(str::to_owned);
    let songs: Vec<_> =
        songs.filter(|song| status.is_none() || status_name(song) == status.cloned()).cloned().collect();
    let after: usize = call.query.get("after").map_or(0, |after| after.strip_prefix("&=").unwrap().parse().unwrap());
    let limit = call.query.get("limit").map_or(most, |limit| limit.parse().unwrap()).min(most);
    let end = after.saturating_add(limit);
    let next = (end < songs.len()).then(|| format!("&={end}"));
    success(SongsData { songs: songs.into_iter().skip(after).take(limit).collect(), next, total: None })
}

fn read(backend: &mut Backend, index: usize) -> HttpResponse {
    backend.reads += 1;
    if backend.outages > 0 {
        backend.outages -= 1;
        return failure(503, ErrorCode::Unavailable);
    }
    let song = &mut backend.songs[index].view;
    let seen = song.clone();
    song.status = match song.status {
        SongStatus::Uploaded => SongStatus::Splitting,
        SongStatus::Splitting => SongStatus::Split,
        status => status,
    };
    success(SongData { song: seen })
}

fn part(backend: &mut Backend, index: usize, file: &str) -> HttpResponse {
    let song = &backend.songs[index];
    let Some((part, format)) = file.split_once('.') else { return failure(404, ErrorCode::NotFound) };
    if part != "song" && song.view.status != SongStatus::Split {
        return failure(409, ErrorCode::NotReady);
    }
    if backend.unready > 0 {
        backend.unready -= 1;
        return failure(409, ErrorCode::NotReady);
    }
    let (kind, bytes): (_, Bytes) = match (part, format) {
        ("song", "mp3") => ("audio/mpeg", song.bytes.clone()),
        (stem, "mp3") => ("audio/mpeg", format!("the {stem}").into()),
        (stem, "wav" | "flac") => ("audio/x-any", format!("the {stem} as {format}").into()),
        _ => return failure(404, ErrorCode::NotFound),
    };
    Response::builder().header(CONTENT_TYPE, kind).header(ETAG, "\"tag\"").body(Full::new(bytes)).unwrap()
}

struct Form {
    title: String,
    id: Option<String>,
    file_name: String,
    bytes: Bytes,
}

/// Reads the form of an upload. Like an old server, it rejects unknown fields.
async fn read_upload(content_type: &str, body: Incoming) -> Result<Form, multer::Error> {
    let mut form = multer::Multipart::new(body.into_data_stream(), multer::parse_boundary(content_type)?);
    let (mut title, mut id, mut file) = (None, None, None);
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("title") => title = Some(field.text().await?),
            Some("id") => id = Some(field.text().await?),
            Some("file") => {
                let name = field.file_name().unwrap_or_default().to_owned();
                file = Some((name, field.bytes().await?));
            }
            _ => return Err(multer::Error::IncompleteStream),
        }
    }
    let (Some(title), Some((file_name, bytes))) = (title, file) else { return Err(multer::Error::IncompleteStream) };
    Ok(Form { title, id, file_name, bytes })
}
