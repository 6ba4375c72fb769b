//! Whether everything is ready, asked in the background: an answer never waits for what does not answer.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use vocalizer_core::causes::chain;

use crate::app::Readiness;

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before it is asked again. The checks write to the disk.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an answer is believed: until the next one is there, whatever that takes.
const BELIEVED: Duration = Duration::from_secs(5);

/// How long whoever wants to know waits for a first answer.
const FIRST: Duration = Duration::from_millis(900);

/// After so long without anybody who wants to know, nothing is asked any more.
const WANTED: Duration = Duration::from_secs(60);

/// Each check by its name: `ok`, or what is wrong.
pub(crate) type Checks = BTreeMap<&'static str, String>;

/// What is wrong, in a sentence that may be public, and why, for the log.
type Answer = Result<(), (String, String)>;

type Ask = Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// Asks everything that must be ready, for as long as somebody wants to know.
#[derive(Default)]
pub(crate) struct Probe {
    checks: Vec<Arc<Check>>,
    /// Ends with the probe.
    tasks: Mutex<JoinSet<()>>,
}

struct Check {
    name: &'static str,
    ask: Ask,
    last: watch::Sender<Option<(Instant, Answer)>>,
    /// When somebody wanted to know last; `None` while nothing is asked.
    wanted: Mutex<Option<Instant>>,
}

impl Probe {
    /// Adds what answers with an error where it is not ready. Why is for the log alone.
    pub(crate) fn add<E: Error + Send + 'static>(
        &mut self,
        name: &'static str,
        ask: impl Fn() -> BoxFuture<'static, Result<(), E>> + Send + Sync + 'static,
    ) {
        self.push(name, move || {
            let asked = ask();
            Box::pin(async move { asked.await.map_err(|error| ("does not answer".to_owned(), chain(&error))) })
        });
    }

    /// Adds what says itself what is wrong.
    pub(crate) fn add_readiness(&mut self, readiness: Arc<dyn Readiness>) {
        self.push(readiness.name(), move || {
            let readiness = Arc::clone(&readiness);
            Box::pin(async move { readiness.check().await.map_err(|said| (said.clone(), said)) })
        });
    }

    fn push(&mut self, name: &'static str, ask: impl Fn() -> BoxFuture<'static, Answer> + Send + Sync + 'static) {
        let (last, wanted) = (watch::Sender::new(None), Mutex::default());
        self.checks.push(Arc::new(Check { name, ask: Box::new(ask), last, wanted }));
    }

    /// How everything is. Takes no longer than a second.
    pub(crate) async fn checks(&self) -> Checks {
        for check in &self.checks {
            let before = check.wanted.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
            if before.is_none() {
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                while tasks.try_join_next().is_some() {}
                tasks.spawn(Arc::clone(check).keep_asking());
            }
        }
        join_all(self.checks.iter().map(|check| check.said())).await.into_iter().collect()
    }
}

impl Check {
    async fn said(&self) -> (&'static str, String) {
        let mut last = self.last.subscribe();
        let fresh = last.wait_for(|last| last.as_ref().is_some_and(|(at, _)| at.elapsed() < BELIEVED));
        let said = match timeout(FIRST, fresh).await {
            Ok(Ok(last)) => last.as_ref().map(|(_, answer)| match answer {
                Ok(()) => "ok".to_owned(),
                Err((public, _)) => public.clone(),
            }),
            Ok(Err(_)) | Err(_) => None,
        };
        (self.name, said.unwrap_or_else(|| "does not answer".to_owned()))
    }

    async fn keep_asking(self: Arc<Self>) {
        loop {
            let answer = timeout(PATIENCE, (self.ask)()).await;
            let answer = answer.unwrap_or_else(|_| Err(("does not answer".to_owned(), "it takes too long".to_owned())));
            let before = self.last.send_replace(Some((Instant::now(), answer.clone())));
            let said_before = before.is_some_and(|(_, before)| before == answer);
            match &answer {
                // Said once, and not every second.
                Err((_, why)) if !said_before => tracing::warn!(check = self.name, error = %why, "not ready"),
                _ => {}
            }
            sleep(PAUSE).await;
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            if wanted.is_none_or(|at| at.elapsed() > WANTED) {
                *wanted = None;
                return;
            }
        }
    }
}
