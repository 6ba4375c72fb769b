//! Result uploads.

use std::sync::Arc;

use vocalizer_core::song::SongHash;

use super::{Answer, success, to_completion};
use crate::app::App;
use crate::request::Request;

pub(crate) async fn upload_result(app: &Arc<App>, request: Request) -> Answer {
    let hash: SongHash = request.param("song_id")?;
    let (songs, archive) = (app.songs.clone(), request.body.into_blob_stream());
    to_completion(async move { songs.accept(&hash, archive).await }).await?;
    success(&())
}
