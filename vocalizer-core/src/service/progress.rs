//! How far the songs of a hash are: their place in the queue, and their progress.

use super::songs::SongService;
use crate::causes::chain;
use crate::ports::{JobState, ProgressReport, RepositoryError};
use crate::song::SongHash;

impl SongService {
    /// Returns the progress on a hash, or 0 if it cannot be read: the song must stay visible.
    pub(super) async fn percent(&self, hash: &SongHash) -> u8 {
        match self.ports().coordination.progress(hash).await {
            Ok(heard) => heard.map_or(0, |heard| heard.percent),
            Err(error) => {
                tracing::warn!(error = chain(&error), "reading progress failed");
                0
            }
        }
    }

    /// Records progress on a hash and notifies watchers.
    pub(super) async fn record_progress(&self, hash: &SongHash, percent: u8) -> Result<(), RepositoryError> {
        let at = self.ports().clock.now();
        self.ports().coordination.record_progress(hash, ProgressReport { percent: percent.min(100), at }).await?;
        self.changes().announce(hash);
        Ok(())
    }

    /// Clears the progress on a hash and notifies watchers.
    pub(super) async fn clear_progress(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.ports().coordination.clear_progress(hash).await?;
        self.changes().announce(hash);
        Ok(())
    }

    /// Returns the number of jobs ahead of each hash, or nothing if the queue is unavailable: the songs must stay
    /// visible.
    pub(super) async fn positions(&self, hashes: &[SongHash]) -> Vec<Option<u64>> {
        let states = match self.ports().queue.states(hashes).await {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(error = chain(&error), "reading queue positions failed");
                Vec::new()
            }
        };
        let before = |state: JobState| if let JobState::Waiting { before } = state { Some(before) } else { None };
        states.into_iter().map(before).collect()
    }
}
