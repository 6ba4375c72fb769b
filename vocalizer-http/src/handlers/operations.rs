//! Operational endpoints: liveness, readiness, metrics, limits and the OpenAPI document.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use vocalizer_core::api::LimitsData;
use vocalizer_core::service::limits_view;

use super::{Answer, whole};
use crate::app::{App, MoreMetrics};
use crate::body::{Body, full};
use crate::failure::Failure;
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::{answer, metrics, openapi};

/// Liveness. Does not check dependencies or use the blocking pool.
pub(crate) fn live(pulse: &Pulse) -> Answer {
    if pulse.is_stuck() {
        return Err(Failure::busy("the server is stuck"));
    }
    Ok(plain(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok\n")))
}

/// Readiness. Names the failed checks; the causes are only logged.
pub(crate) async fn readiness(probe: &Probe) -> Response<Body> {
    let checks = probe.checks().await;
    let ready = checks.values().all(|result| result == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": ready, "checks": checks});
    plain(status, "application/json", body.to_string().into())
}

pub(super) async fn metrics(app: &Arc<App>) -> Answer {
    let text = app.metrics.write(&app.songs).await?;
    Ok(exposition(text, &app.more_metrics))
}

/// Returns the metrics, with additional ones inserted before the end marker.
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

/// Returns the limits for clients.
pub(super) fn limits(app: &Arc<App>) -> Response<Body> {
    let limits = limits_view(app.songs.settings(), app.accounts.settings());
    whole(answer::success(&LimitsData { limits }))
}

fn plain(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
