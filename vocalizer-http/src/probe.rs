//! Readiness checks in background tasks, so that `/readyz` never waits for an unresponsive dependency.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all, ready};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use vocalizer_core::causes::chain;

/// Timeout of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause between checks, because they write to the disk.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a result is valid: longer than it takes to get the next one.
const MAX_AGE: Duration = Duration::from_secs(5);

/// How long a request waits for a first result.
const FIRST_RESULT_TIMEOUT: Duration = Duration::from_millis(900);

/// Checks stop after this time without requests.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// An additional readiness check.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// The name of the check, one word.
    fn name(&self) -> &'static str;

    /// Checks readiness.
    ///
    /// # Errors
    ///
    /// The reason why it is not ready. The text is public.
    async fn check(&self) -> Result<(), String>;
}

/// The result of each check by name: `ok` or the problem.
pub(crate) type Checks = BTreeMap<&'static str, String>;

/// The problem as public text, and the cause for the log.
type Outcome = Result<(), (String, String)>;

type CheckFn = Box<dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Runs the readiness checks while there are requests for them.
#[derive(Default)]
pub(crate) struct Probe {
    checks: Vec<Arc<Check>>,
    /// Stopped when the probe is dropped.
    tasks: Mutex<JoinSet<()>>,
}

struct Check {
    name: &'static str,
    run: CheckFn,
    last: watch::Sender<Option<(Instant, Outcome)>>,
    /// Time of the last request; `None` while the check is stopped.
    last_request: Mutex<Option<Instant>>,
}

impl Probe {
    /// Adds a check. Its error is only logged.
    pub(crate) fn add<E: Error + Send + 'static>(
        &mut self,
        name: &'static str,
        run: impl Fn() -> BoxFuture<'static, Result<(), E>> + Send + Sync + 'static,
    ) {
        self.push(name, move || {
            let result = run();
            Box::pin(async move { result.await.map_err(|error| ("does not answer".to_owned(), chain(&error))) })
        });
    }

    /// Adds a check that does not wait, and whose error text is public.
    pub(crate) fn add_check(
        &mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.push(name, move || Box::pin(ready(check().map_err(|problem| (problem.clone(), problem)))));
    }

    /// Adds a check whose error text is public.
    pub(crate) fn add_readiness(&mut self, readiness: Arc<dyn Readiness>) {
        self.push(readiness.name(), move || {
            let readiness = Arc::clone(&readiness);
            Box::pin(async move { readiness.check().await.map_err(|problem| (problem.clone(), problem)) })
        });
    }

    fn push(&mut self, name: &'static str, run: impl Fn() -> BoxFuture<'static, Outcome> + Send + Sync + 'static) {
        let (last, last_request) = (watch::Sender::new(None), Mutex::default());
        self.checks.push(Arc::new(Check { name, run: Box::new(run), last, last_request }));
    }

    /// Returns the results of all checks, within a second.
    pub(crate) async fn checks(&self) -> Checks {
        for check in &self.checks {
            let before = check.last_request.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
            if before.is_none() {
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                while tasks.try_join_next().is_some() {}
                tasks.spawn(Arc::clone(check).repeat());
            }
        }
        join_all(self.checks.iter().map(|check| check.result())).await.into_iter().collect()
    }
}

impl Check {
    async fn result(&self) -> (&'static str, String) {
        let mut last = self.last.subscribe();
        let fresh = last.wait_for(|last| last.as_ref().is_some_and(|(at, _)| at.elapsed() < MAX_AGE));
        let result = match timeout(FIRST_RESULT_TIMEOUT, fresh).await {
            Ok(Ok(last)) => last.as_ref().map(|(_, outcome)| match outcome {
                Ok(()) => "ok".to_owned(),
                Err((public, _)) => public.clone(),
            }),
            Ok(Err(_)) | Err(_) => None,
        };
        (self.name, result.unwrap_or_else(|| "does not answer".to_owned()))
    }

    async fn repeat(self: Arc<Self>) {
        loop {
            let outcome = timeout(CHECK_TIMEOUT, (self.run)()).await;
            let outcome = outcome.unwrap_or_else(|_| Err(("does not answer".to_owned(), "check timed out".to_owned())));
            let before = self.last.send_replace(Some((Instant::now(), outcome.clone())));
            let unchanged = before.is_some_and(|(_, before)| before == outcome);
            match &outcome {
                // Log only changes.
                Err((_, why)) if !unchanged => tracing::warn!(check = self.name, error = %why, "not ready"),
                _ => {}
            }
            sleep(CHECK_INTERVAL).await;
            let mut last_request = self.last_request.lock().unwrap_or_else(PoisonError::into_inner);
            if last_request.is_none_or(|at| at.elapsed() > IDLE_AFTER) {
                *last_request = None;
                return;
            }
        }
    }
}
