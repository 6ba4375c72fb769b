//! Listing, reading, renaming, retrying, cancelling and deleting songs.

use std::sync::Arc;

use vocalizer_core::api::{SongData, SongsData};
use vocalizer_core::ports::Cursor;
use vocalizer_core::service::{Listing, ModelChoice};

use super::{Answer, library, success, to_completion};
use crate::app::App;
use crate::fields;
use crate::request::Request;

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    let query = request.query();
    if [&fields::Q, &fields::WITH_LABEL, &fields::SORT, &fields::WHOSE, &fields::TOTAL]
        .iter()
        .any(|field| query.has(field))
    {
        return library::list(app, request.viewer(), &query).await;
    }
    let listing = Listing {
        status: query.get(&fields::STATUS, |text| text.parse().ok())?,
        after: query.get(&fields::AFTER, read_cursor)?,
        limit: query.number(&fields::LIMIT)?.and_then(|limit| u32::try_from(limit).ok()),
        details: query.has(&fields::DETAILS),
    };
    let page = app.songs.list(request.viewer(), listing).await?;
    let next = page.next.map(write_cursor);
    success(&SongsData { songs: page.songs, next, total: None })
}

pub(crate) async fn get(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let song = match request.query().has(&fields::DETAILS) {
        true => app.songs.song_in_detail(viewer, id).await?,
        false => app.songs.song(viewer, id).await?,
    };
    success(&SongData { song })
}

pub(crate) async fn rename(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let mut form = request.form().await?;
    let song = app.songs.rename(viewer, id, form.take(&fields::TITLE).expose()).await?;
    success(&SongData { song })
}

pub(crate) async fn retry(app: &Arc<App>, request: Request) -> Answer {
    let song = app.songs.retry(request.viewer(), request.param("song_id")?).await?;
    success(&SongData { song })
}

pub(crate) async fn split(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let mut form = request.form().await?;
    let given = |text: String| (!text.is_empty()).then_some(text);
    let model = given(form.take(&fields::MODEL).into_exposed());
    let choice = ModelChoice { model, stems: given(form.take(&fields::STEMS).into_exposed()) };
    let songs = app.songs.clone();
    let song = to_completion(async move { songs.split_again(viewer, id, &choice).await }).await?;
    success(&SongData { song })
}

pub(crate) async fn cancel(app: &Arc<App>, request: Request) -> Answer {
    let (songs, viewer, id) = (app.songs.clone(), request.viewer(), request.param("song_id")?);
    // A separate task, so that a disconnect does not stop it between the song and its job.
    let song = to_completion(async move { songs.cancel(viewer, id).await }).await?;
    success(&SongData { song })
}

pub(crate) async fn delete(app: &Arc<App>, request: Request) -> Answer {
    let (songs, viewer, id) = (app.songs.clone(), request.viewer(), request.param("song_id")?);
    // A separate task, so that a disconnect does not stop it between the song and its files.
    to_completion(async move { songs.delete(viewer, id).await }).await?;
    success(&())
}

pub(super) fn write_cursor(cursor: Cursor) -> String {
    format!("{}_{}", cursor.uploaded_at_us, cursor.id)
}

pub(super) fn read_cursor(text: &str) -> Option<Cursor> {
    let (uploaded_at_us, id) = text.split_once('_')?;
    Some(Cursor { uploaded_at_us: uploaded_at_us.parse().ok()?, id: id.parse().ok()? })
}
