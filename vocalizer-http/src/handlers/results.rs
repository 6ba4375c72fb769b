//! Result uploads.

use std::sync::Arc;

use tracing::Instrument as _;
use vocalizer_core::song::SongHash;

use super::{Answer, whole};
use crate::answer;
use crate::app::App;
use crate::failure::Failure;
use crate::request::Request;

pub(super) async fn upload_result(app: &Arc<App>, request: Request) -> Answer {
    let hash: SongHash = request.param("song_id")?;
    let (songs, archive) = (app.songs.clone(), request.body.into_blob_stream());
    let accepted = tokio::spawn(async move { songs.accept(&hash, archive).await }.in_current_span());
    accepted.await.map_err(Failure::internal)??;
    Ok(whole(answer::success(&())))
}
