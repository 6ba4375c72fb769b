//! Leases of jobs by remote workers.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;
use vocalizer_core::api::{JobData, JobView, MAX_JOB_DELAY, MAX_JOB_WAIT};
use vocalizer_core::ports;
use vocalizer_core::service::LeaseId;
use vocalizer_core::song::FailureReason;

use super::{Answer, whole};
use crate::answer;
use crate::app::App;
use crate::failure::Failure;
use crate::form::Form;
use crate::request::Request;

/// Default wait for a job, in seconds.
const WAIT_S: u64 = 30;

pub(super) async fn lease(app: &Arc<App>, request: Request) -> Answer {
    let mut form = Form::read(&request.headers, request.body).await?;
    let wait = Duration::from_secs(form.number("wait_s", MAX_JOB_WAIT.as_secs())?.unwrap_or(WAIT_S));
    let mut closing = app.closing.clone();
    // If the worker disconnects, this future is dropped and the leases returns the job. If the response is lost, the
    // lease expires without being extended, which does not count as an attempt.
    let leased = tokio::select! {
        leased = app.leases.lease(wait) => leased?,
        _ = closing.wait_for(|closing| *closing) => None,
    };
    Ok(whole(answer::success(&JobData { job: leased.map(JobView::from) })))
}

pub(super) async fn extend(app: &Arc<App>, request: &Request) -> Answer {
    app.leases.extend(request.param("lease")?).await?;
    Ok(whole(answer::success(&())))
}

pub(super) async fn acknowledge(app: &Arc<App>, request: &Request) -> Answer {
    settle(app, request.param("lease")?, None).await
}

pub(super) async fn fail(app: &Arc<App>, request: Request) -> Answer {
    let lease = request.param("lease")?;
    let mut form = Form::read(&request.headers, request.body).await?;
    let kind = form.take("kind").into_exposed();
    let after = Duration::from_millis(form.number("after_ms", MAX_JOB_DELAY.as_secs() * 1000)?.unwrap_or(0));
    let failure = match kind.as_str() {
        "retry" => ports::Failure::Retry { after },
        "later" => ports::Failure::Later { after },
        "never" => ports::Failure::Never { reason: FailureReason::new(form.take("reason").expose()) },
        _ => return Err(Failure::field("kind", "kind must be retry, later or never")),
    };
    settle(app, lease, Some(failure)).await
}

async fn settle(app: &Arc<App>, lease: LeaseId, failure: Option<ports::Failure>) -> Answer {
    let leases = Arc::clone(&app.leases);
    // A separate task, so that a disconnect does not leave the lease half settled.
    let settled = tokio::spawn(async move { leases.settle(lease, failure).await }.in_current_span());
    settled.await.map_err(Failure::internal)??;
    Ok(whole(answer::success(&())))
}
