//! Leases of jobs by remote workers.

use std::sync::Arc;
use std::time::Duration;

use vocalizer_core::api::{JobData, JobView};
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::ports;
use vocalizer_core::service::LeaseId;
use vocalizer_core::song::FailureReason;

use super::{Answer, success, to_completion};
use crate::app::App;
use crate::failure::Failure;
use crate::fields;
use crate::request::Request;

pub(crate) async fn lease(app: &Arc<App>, request: Request) -> Answer {
    let mut form = request.form().await?;
    let wait = Duration::from_secs(form.number(&fields::WAIT_S)?.unwrap_or_default());
    let capabilities = capabilities(form.take(&fields::MODELS).expose())?;
    app.songs.worker_seen(&capabilities).await;
    // If the worker disconnects, this future is dropped and the leases return the job. If the response is lost, the
    // lease expires without being extended, which does not count as an attempt.
    let leased = tokio::select! {
        leased = app.leases.lease_for(&capabilities, wait) => leased?,
        () = app.closing.cancelled() => None,
    };
    success(&JobData { job: leased.map(JobView::from) })
}

pub(crate) async fn extend(app: &Arc<App>, request: Request) -> Answer {
    let lease = request.param("lease")?;
    let held = request.query().get(&fields::MODELS_HELD, |names| capabilities(names).ok())?;
    app.leases.extend(lease).await?;
    app.songs.worker_seen(&held.unwrap_or_default()).await;
    success(&())
}

/// Reads the names of a worker's models. A worker that names none takes the jobs of the default model.
fn capabilities(names: &str) -> Result<Capabilities, Failure> {
    if names.is_empty() {
        return Ok(Capabilities::default());
    }
    let models = names.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<ModelName>, _>>();
    models.map(Capabilities::of).map_err(|error| Failure::field("models", error.to_string()))
}

pub(crate) async fn acknowledge(app: &Arc<App>, request: Request) -> Answer {
    settle(app, request.param("lease")?, None).await
}

pub(crate) async fn fail(app: &Arc<App>, request: Request) -> Answer {
    let lease = request.param("lease")?;
    let mut form = request.form().await?;
    let kind = form.take(&fields::FAILURE_KIND).into_exposed();
    let after = Duration::from_millis(form.number(&fields::AFTER_MS)?.unwrap_or_default());
    let failure = match kind.as_str() {
        "retry" => ports::Failure::Retry { after },
        "later" => ports::Failure::Later { after },
        "never" => ports::Failure::Never { reason: FailureReason::new(form.take(&fields::REASON).expose()) },
        _ => return Err(Failure::field("kind", "kind must be retry, later or never")),
    };
    settle(app, lease, Some(failure)).await
}

async fn settle(app: &Arc<App>, lease: LeaseId, failure: Option<ports::Failure>) -> Answer {
    let leases = Arc::clone(&app.leases);
    // A separate task, so that a disconnect does not leave the lease half settled.
    to_completion(async move { leases.settle(lease, failure).await }).await?;
    success(&())
}
