//! Operational endpoints: liveness, readiness, metrics, limits and the OpenAPI document.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use prometheus_client::registry::Registry;
use serde_json::json;
use vocalizer_core::api::{LimitsData, ModelsData};
use vocalizer_core::service::limits_view;

use super::{Answer, success};
use crate::app::App;
use crate::body::{Body, full};
use crate::failure::Failure;
use crate::metrics;
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::request::Request;

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

pub(crate) async fn livez(app: &Arc<App>, _: Request) -> Answer {
    live(&app.pulse)
}

pub(crate) async fn readyz(app: &Arc<App>, _: Request) -> Answer {
    Ok(readiness(&app.probe).await)
}

pub(crate) async fn metrics(app: &Arc<App>, _: Request) -> Answer {
    app.metrics.read(&app.songs).await?;
    Ok(exposition(&app.metrics.registry))
}

/// Returns the metrics as text.
pub(crate) fn exposition(registry: &Registry) -> Response<Body> {
    plain(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(registry).into())
}

pub(crate) async fn openapi(app: &Arc<App>, _: Request) -> Answer {
    Ok(plain(StatusCode::OK, "application/json", app.openapi.clone()))
}

/// Returns the limits for clients.
pub(crate) async fn limits(app: &Arc<App>, _: Request) -> Answer {
    let mut limits = limits_view(app.songs.settings(), app.accounts.settings());
    limits.max_webhooks = app.songs.max_webhooks();
    success(&LimitsData { limits })
}

/// Returns the models that clients may choose from.
pub(crate) async fn models(app: &Arc<App>, _: Request) -> Answer {
    success(&ModelsData { models: app.songs.list_models().await? })
}

fn plain(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
