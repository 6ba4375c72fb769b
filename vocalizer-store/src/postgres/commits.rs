//! Commits that complete even if their caller is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument as _;
use vocalizer_core::ports::RepositoryError;
use vocalizer_sql::postgres::timed_out;

use super::error::repository;

type Commit = JoinHandle<Result<(), RepositoryError>>;

/// Commits in progress whose callers are gone. The next write waits for them: otherwise it could complete before an
/// earlier change of the same server is visible.
#[derive(Clone, Default)]
pub(super) struct Commits {
    abandoned: Arc<Mutex<Vec<Commit>>>,
}

impl Commits {
    /// Commits, even if the caller is dropped.
    pub(super) async fn finish(
        &self,
        step: Transaction<'static, Postgres>,
        max_time: Duration,
    ) -> Result<(), RepositoryError> {
        let commit = async move {
            timeout(max_time, step.commit()).await.unwrap_or_else(|_| Err(timed_out())).map_err(repository)
        };
        self.watch(tokio::spawn(commit.in_current_span())).wait().await
    }

    /// Waits for abandoned commits.
    pub(super) async fn wait_for_abandoned(&self) {
        loop {
            let Some(commit) = self.abandoned().pop() else { return };
            // Its result was for the caller that is gone.
            let _ = self.watch(commit).wait().await;
        }
    }

    fn watch(&self, commit: Commit) -> Watched<'_> {
        Watched { commits: self, commit: Some(commit) }
    }

    fn abandoned(&self) -> MutexGuard<'_, Vec<Commit>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that becomes abandoned when dropped.
struct Watched<'a> {
    commits: &'a Commits,
    commit: Option<Commit>,
}

impl Watched<'_> {
    async fn wait(mut self) -> Result<(), RepositoryError> {
        let result = match &mut self.commit {
            Some(commit) => commit.await.unwrap_or_else(|error| Err(RepositoryError::Unavailable(error.into()))),
            None => Ok(()),
        };
        self.commit = None;
        result
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.commits.abandoned().extend(self.commit.take());
    }
}
