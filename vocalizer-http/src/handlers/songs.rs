//! Listing, reading, renaming, retrying and deleting songs.

use std::sync::Arc;

use tracing::Instrument as _;
use vocalizer_core::api::{SongData, SongsData};
use vocalizer_core::ports::Cursor;
use vocalizer_core::service::{Listing, MAX_PAGE};

use super::{Answer, whole};
use crate::answer;
use crate::app::App;
use crate::form::Form;
use crate::request::Request;

pub(super) async fn list(app: &Arc<App>, request: &Request) -> Answer {
    let query = request.query();
    let listing = Listing {
        status: query.get("status", |text| text.parse().ok())?,
        after: query.get("after", read_cursor)?,
        limit: query.get("limit", |text| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)))?,
        details: query.has("details"),
    };
    let page = app.songs.list(request.viewer(), listing).await?;
    let next = page.next.map(|cursor| format!("{}_{}", cursor.uploaded_at_us, cursor.id));
    Ok(whole(answer::success(&SongsData { songs: page.songs, next })))
}

pub(super) async fn get(app: &Arc<App>, request: &Request) -> Answer {
    let song = app.songs.song(request.viewer(), request.param("song_id")?).await?;
    Ok(whole(answer::success(&SongData { song })))
}

pub(super) async fn rename(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let mut form = Form::read(&request.headers, request.body).await?;
    let song = app.songs.rename(viewer, id, form.take("title").expose()).await?;
    Ok(whole(answer::success(&SongData { song })))
}

pub(super) async fn retry(app: &Arc<App>, request: &Request) -> Answer {
    let song = app.songs.retry(request.viewer(), request.param("song_id")?).await?;
    Ok(whole(answer::success(&SongData { song })))
}

pub(super) async fn delete(app: &Arc<App>, request: &Request) -> Answer {
    let (songs, viewer, id) = (app.songs.clone(), request.viewer(), request.param("song_id")?);
    // A separate task, so that a disconnect does not stop it between the song and its files.
    let deleted = tokio::spawn(async move { songs.delete(viewer, id).await }.in_current_span());
    deleted.await.map_err(crate::failure::Failure::internal)??;
    Ok(whole(answer::success(&())))
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let (uploaded_at_us, id) = text.split_once('_')?;
    Some(Cursor { uploaded_at_us: uploaded_at_us.parse().ok()?, id: id.parse().ok()? })
}
