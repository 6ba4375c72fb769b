//! The trash.

use std::sync::Arc;

use vocalizer_core::api::{SongData, TrashData};
use vocalizer_core::service::TrashListing;
use vocalizer_core::song::SongId;

use super::{Answer, success, to_completion};
use crate::app::App;
use crate::fields;
use crate::request::Request;

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    let query = request.query();
    let listing = TrashListing {
        after: query.get(&fields::AFTER, read_position)?,
        limit: query.number(&fields::LIMIT)?.and_then(|limit| u32::try_from(limit).ok()),
    };
    let page = app.songs.trash(request.viewer(), listing).await?;
    let next = page.next.map(|(trashed_at_us, id)| format!("{trashed_at_us}_{id}"));
    success(&TrashData { songs: page.songs, next })
}

pub(crate) async fn restore(app: &Arc<App>, request: Request) -> Answer {
    let (songs, viewer, id) = (app.songs.clone(), request.viewer(), request.param("song_id")?);
    // A separate task, so that a disconnect does not stop it between the song and its job.
    let song = to_completion(async move { songs.restore(viewer, id).await }).await?;
    success(&SongData { song })
}

pub(crate) async fn delete(app: &Arc<App>, request: Request) -> Answer {
    let (songs, viewer, id) = (app.songs.clone(), request.viewer(), request.param("song_id")?);
    // A separate task, so that a disconnect does not stop it between the song and its files.
    to_completion(async move { songs.delete_for_good(viewer, id).await }).await?;
    success(&())
}

fn read_position(text: &str) -> Option<(i64, SongId)> {
    let (trashed_at_us, id) = text.split_once('_')?;
    Some((trashed_at_us.parse().ok()?, id.parse().ok()?))
}
