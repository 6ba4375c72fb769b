//! For whoever runs the service.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tokio::time::timeout;
use vocalizer_core::api::{LimitsData, LimitsView};
use vocalizer_core::causes::chain;

use super::{Answer, whole};
use crate::app::{App, Checks, MoreMetrics, Readiness};
use crate::body::{Body, full};
use crate::failure::Failure;
use crate::pulse::Pulse;
use crate::{answer, metrics, openapi};

/// Whether the process makes progress. Nothing is asked, and the blocking pool is not needed to say so.
pub(crate) fn live(pulse: &Pulse) -> Answer {
    if pulse.is_stuck() {
        return Err(Failure::busy("the server makes no progress"));
    }
    Ok(plain(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok\n")))
}

/// Asks everything behind the service; what does not answer is named, why is for the log.
pub(super) async fn ready(app: &Arc<App>) -> Response<Body> {
    readiness(checks(app).await, &app.readiness).await
}

/// How long an answer to a readiness check holds. The checks write to the disk, and anybody may ask for them.
const HOLDS: Duration = Duration::from_secs(1);

/// What is behind the service, asked once a second at most, however many want to know.
async fn checks(app: &Arc<App>) -> Checks {
    let mut checked = app.checked.lock().await;
    if let Some((at, checks)) = &*checked
        && at.elapsed() < HOLDS
    {
        return checks.clone();
    }
    let (database, queue, storage) = tokio::join!(
        asked(app.songs.repository().check()),
        asked(app.songs.queue().depth()),
        asked(app.songs.check_storage()),
    );
    let checks = Checks::from([("database", database), ("queue", queue), ("storage", storage)]);
    *checked = Some((Instant::now(), checks.clone()));
    checks
}

/// What was asked already, and these; ready if all are.
pub(crate) async fn readiness(mut checks: Checks, more: &[Arc<dyn Readiness>]) -> Response<Body> {
    for readiness in more {
        let checked = readiness.check().await;
        checks.insert(readiness.name(), checked.err().unwrap_or_else(|| "ok".to_owned()));
    }
    let ready = checks.values().all(|said| said == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": ready, "checks": checks});
    plain(status, "application/json", body.to_string().into())
}

/// How long what is behind the service has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

async fn asked<T, E: std::error::Error>(answer: impl Future<Output = Result<T, E>>) -> String {
    let why = match timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => return "ok".to_owned(),
        Ok(Err(error)) => chain(&error),
        Err(_) => "it takes too long".to_owned(),
    };
    tracing::warn!(error = %why, "not ready");
    "does not answer".to_owned()
}

pub(super) async fn metrics(app: &Arc<App>) -> Answer {
    let text = app.metrics.write(&app.songs).await?;
    Ok(exposition(text, &app.more_metrics))
}

/// Figures, with what others add before the mark of the end.
pub(crate) fn exposition(mut text: String, more: &[Arc<dyn MoreMetrics>]) -> Response<Body> {
    let end = text.strip_suffix("# EOF\n").map(str::len);
    text.truncate(end.unwrap_or(text.len()));
    more.iter().for_each(|more| more.write(&mut text));
    text.push_str("# EOF\n");
    plain(StatusCode::OK, metrics::CONTENT_TYPE, text.into())
}

pub(super) fn openapi() -> Response<Body> {
    plain(StatusCode::OK, "application/json", openapi::document().to_string().into())
}

/// What is taken, and from whom.
pub(super) fn limits(app: &Arc<App>) -> Response<Body> {
    let limits = LimitsView::of(app.songs.settings(), app.accounts.settings());
    whole(answer::success(&LimitsData { limits }))
}

fn plain(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
