//! Commits, seen through to their end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tracing::Instrument as _;
use vocalizer_core::ports::RepositoryError;

use super::error::repository;
use super::open::timed_out;

type Commit = JoinHandle<Result<(), sqlx::Error>>;

/// The commits that are under way although whoever asked for them has gone. The next write waits for them: else it could
/// be over before a change that was asked for earlier by the same server is to be seen.
#[derive(Clone, Default)]
pub(super) struct Commits {
    left: Arc<Mutex<Vec<Commit>>>,
}

impl Commits {
    /// Commits, also where the caller goes away meanwhile.
    pub(super) async fn finish(
        &self,
        step: Transaction<'static, Postgres>,
        at_most: Duration,
    ) -> Result<(), RepositoryError> {
        let commit = async move { timeout(at_most, step.commit()).await.unwrap_or_else(|_| Err(timed_out())) };
        match self.watch(tokio::spawn(commit.in_current_span())).over().await {
            Ok(committed) => committed.map_err(repository),
            Err(error) => Err(RepositoryError::Unavailable(error.into())),
        }
    }

    /// Waits for what was left.
    pub(super) async fn settled(&self) {
        loop {
            let Some(commit) = self.left().pop() else { return };
            // How it ended was the business of whoever has gone.
            let _ = self.watch(commit).over().await;
        }
    }

    fn watch(&self, commit: Commit) -> Watched<'_> {
        Watched { commits: self, commit: Some(commit) }
    }

    fn left(&self) -> MutexGuard<'_, Vec<Commit>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that is put with those that were left where nobody waits for it any longer.
struct Watched<'a> {
    commits: &'a Commits,
    commit: Option<Commit>,
}

impl Watched<'_> {
    async fn over(mut self) -> Result<Result<(), sqlx::Error>, JoinError> {
        let over = match &mut self.commit {
            Some(commit) => commit.await,
            None => Ok(Ok(())),
        };
        self.commit = None;
        over
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.commits.left().extend(self.commit.take());
    }
}
