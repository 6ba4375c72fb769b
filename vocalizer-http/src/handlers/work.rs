//! Reports of workers about songs.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::api::WantedData;
use vocalizer_core::ports::{Backend, Wanted};
use vocalizer_core::song::{FailureReason, SongHash};

use super::{Answer, download, success, to_completion};
use crate::app::App;
use crate::failure::Failure;
use crate::fields;
use crate::request::Request;

pub(crate) async fn begin(app: &Arc<App>, request: Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(&request)?);
    wanted(to_completion(async move { songs.begin(&hash).await }).await?)
}

pub(crate) async fn source(app: &Arc<App>, request: Request) -> Answer {
    let hash = hash(&request)?;
    let blob = app.songs.uploaded(&hash, None).await?;
    let (tag, size_bytes) = (blob.tag().to_owned(), blob.size_bytes());
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    ]);
    let songs = &app.songs;
    let open = |range: Option<_>| async move {
        match range {
            None => Ok(blob),
            range => songs.uploaded(&hash, range).await,
        }
    };
    download::file(&request, &tag, size_bytes, headers, open).await
}

pub(crate) async fn progress(app: &Arc<App>, request: Request) -> Answer {
    let hash = hash(&request)?;
    let mut form = request.form().await?;
    let percent = form.number(&fields::PERCENT)?.and_then(|percent| u8::try_from(percent).ok());
    let percent = percent.ok_or_else(|| Failure::field("percent", "form field missing: percent"))?;
    wanted(app.songs.progress(&hash, percent).await?)
}

pub(crate) async fn hand_back(app: &Arc<App>, request: Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(&request)?);
    to_completion(async move { songs.hand_back(&hash).await }).await?;
    success(&())
}

pub(crate) async fn give_up(app: &Arc<App>, request: Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(&request)?);
    let mut form = request.form().await?;
    let reason = FailureReason::new(form.take(&fields::REASON).expose());
    to_completion(async move { songs.fail(&hash, &reason).await }).await?;
    success(&())
}

fn hash(request: &Request) -> Result<SongHash, Failure> {
    request.param("song_id")
}

fn wanted(wanted: Wanted) -> Answer {
    success(&WantedData { wanted, lossless: true })
}
