//! Results on their way in.

use std::sync::Arc;

use vocalizer_core::api::ErrorCode;
use vocalizer_core::song::SongHash;

use super::{Answer, whole};
use crate::answer;
use crate::app::App;
use crate::failure::Failure;
use crate::request::{Request, bearer};

pub(super) async fn upload_result(app: &Arc<App>, request: Request) -> Answer {
    if !app.settings.open_upload_result {
        let shown = bearer(&request.headers);
        // All are looked at, so that the time does not tell which it was.
        let right = shown.is_some_and(|shown| {
            let shown = shown.expose().as_bytes();
            app.settings.worker_tokens.iter().fold(false, |right, token| right | token.matches(shown))
        });
        if !right {
            return Err(Failure::new(
                ErrorCode::Unauthenticated,
                "a result is taken from workers with their token alone",
            ));
        }
    }
    let hash: SongHash = request.param("song_id")?;
    let (songs, body) = (app.songs.clone(), Box::new(request.body));
    let accepted = tokio::spawn(async move { songs.accept(&hash, body).await });
    accepted.await.map_err(Failure::internal)??;
    Ok(whole(answer::success(&())))
}
