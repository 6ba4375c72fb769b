//! Putting right what a crash left wrong.

use super::ServiceError;
use super::songs::SongService;
use crate::causes::chain;
use crate::dedupe::Advance;
use crate::ports::{Job, JobPayload, JobState};
use crate::song::StatusKind;

/// How many wishes go to the queue at a time.
const BATCH: u32 = 100;

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Hashes whose songs were `SPLITTING` with nobody at work.
    pub handed_back: u64,
    /// Hashes whose songs waited with no job on the queue.
    pub requested: u64,
    /// Hashes whose bytes nobody wanted any more.
    pub orphans: u64,
    /// Files that unfinished uploads left behind.
    pub leftovers: u64,
}

impl SongService {
    /// Puts on the queue what the outbox holds, and says how much that was.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; what is left is for the next time.
    pub async fn relay(&self) -> Result<u64, ServiceError> {
        let mut published = 0;
        loop {
            let pending = self.ports().songs.pending(BATCH).await?;
            for wish in &pending {
                self.ports().queue.publish(Job { hash: wish.hash, payload: JobPayload::Stored }).await?;
                self.ports().songs.published(wish.number).await?;
                published += 1;
            }
            if pending.len() < BATCH as usize {
                return Ok(published);
            }
        }
    }

    /// Compares songs, queue and blobs and mends what does not fit together; harmless at any time.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; what is left is for the next time.
    pub async fn sweep(&self) -> Result<Swept, ServiceError> {
        let mut swept = Swept::default();
        self.relay().await?;
        for hash in self.ports().songs.hashes_in(StatusKind::Splitting).await? {
            if matches!(self.ports().queue.state(&hash).await?, JobState::Waiting { .. } | JobState::Absent) {
                self.ports().songs.advance(&hash, &Advance::HandBack).await?;
                self.board().rest(&hash);
                swept.handed_back += 1;
            }
        }
        for hash in self.ports().songs.hashes_in(StatusKind::Uploaded).await? {
            if self.ports().queue.state(&hash).await? == JobState::Absent {
                self.ports().songs.request(&hash).await?;
                swept.requested += 1;
            }
        }
        self.relay().await?;
        swept.leftovers = self.ports().blobs.sweep().await?;
        for hash in self.ports().blobs.hashes().await? {
            let _stays = self.locks().lock(&hash).await;
            if self.ports().songs.with_hash(&hash).await?.is_empty() {
                match self.ports().blobs.delete_all(&hash).await {
                    Ok(()) => swept.orphans += 1,
                    Err(error) => tracing::warn!(%hash, error = chain(&error), "an orphan could not be removed"),
                }
            }
        }
        if swept != Swept::default() {
            tracing::info!(?swept, "swept");
        }
        Ok(swept)
    }
}
