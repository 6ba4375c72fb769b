//! Reports of workers about songs.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use tracing::Instrument as _;
use vocalizer_core::api::WantedData;
use vocalizer_core::ports::{Backend, BackendError, Wanted};
use vocalizer_core::song::{FailureReason, SongHash};

use super::{Answer, download, whole};
use crate::answer;
use crate::app::App;
use crate::failure::Failure;
use crate::form::Form;
use crate::request::Request;

pub(super) async fn begin(app: &Arc<App>, request: &Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(request)?);
    wanted(run_to_completion(async move { songs.begin(&hash).await }).await?)
}

pub(super) async fn source(app: &Arc<App>, request: &Request) -> Answer {
    let hash = hash(request)?;
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
    download::file(request, &tag, size_bytes, headers, open).await
}

pub(super) async fn progress(app: &Arc<App>, request: Request) -> Answer {
    let hash = hash(&request)?;
    let mut form = Form::read(&request.headers, request.body).await?;
    let percent = form.number("percent", 100)?.and_then(|percent| u8::try_from(percent).ok());
    let percent = percent.ok_or_else(|| Failure::field("percent", "form field missing: percent"))?;
    wanted(app.songs.progress(&hash, percent).await?)
}

pub(super) async fn hand_back(app: &Arc<App>, request: &Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(request)?);
    run_to_completion(async move { songs.hand_back(&hash).await }).await?;
    Ok(whole(answer::success(&())))
}

pub(super) async fn give_up(app: &Arc<App>, request: Request) -> Answer {
    let (songs, hash) = (app.songs.clone(), hash(&request)?);
    let mut form = Form::read(&request.headers, request.body).await?;
    let reason = FailureReason::new(form.take("reason").expose());
    run_to_completion(async move { songs.fail(&hash, &reason).await }).await?;
    Ok(whole(answer::success(&())))
}

fn hash(request: &Request) -> Result<SongHash, Failure> {
    request.param("song_id")
}

fn wanted(wanted: Wanted) -> Answer {
    Ok(whole(answer::success(&WantedData { wanted })))
}

/// Runs a report in a separate task: it has several steps, which must complete even if the worker disconnects.
async fn run_to_completion<T: Send + 'static>(
    report: impl Future<Output = Result<T, BackendError>> + Send + 'static,
) -> Result<T, Failure> {
    Ok(tokio::spawn(report.in_current_span()).await.map_err(Failure::internal)??)
}
