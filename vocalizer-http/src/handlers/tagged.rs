//! The cover and the lyrics in the tags of a song.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, header};
use vocalizer_core::api::LyricsData;

use super::{Answer, unmade};
use crate::app::App;
use crate::body::full;
use crate::request::Request;
use crate::{answer, conditional};

pub(crate) async fn cover(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))]);
    let cover = match app.songs.known_cover(viewer, id).await? {
        Some(cover) => cover,
        None if request.method == Method::HEAD => return Ok(unmade(headers)),
        None => app.songs.cover(request.client(), id).await?,
    };
    let mut response = Response::new(cover);
    *response.headers_mut() = headers;
    Ok(conditional::revalidated(&request.headers, response).map(full))
}

pub(crate) async fn lyrics(app: &Arc<App>, request: Request) -> Answer {
    let id = request.param("song_id")?;
    if request.method == Method::HEAD && app.songs.known_lyrics(request.viewer(), id).await?.is_none() {
        let json = HeaderValue::from_static("application/json");
        return Ok(unmade(HeaderMap::from_iter([(header::CONTENT_TYPE, json)])));
    }
    let lyrics = app.songs.lyrics(request.client(), id).await?;
    Ok(conditional::revalidated(&request.headers, answer::success(&LyricsData { lyrics })).map(full))
}
