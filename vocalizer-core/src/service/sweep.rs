//! Putting right what a crash left wrong.

use std::collections::HashSet;
use std::time::Duration;

use super::ServiceError;
use super::relay::Source;
use super::songs::{SongService, SongSettings};
use crate::causes::chain;
use crate::dedupe::Advance;
use crate::ports::{DeadLetter, JobState};
use crate::song::{FailureReason, SongHash, StatusKind};
use crate::worker::DAMAGED;

/// So many orphans are removed in any case; more only where they are not most of what is stored.
const MOST_ORPHANS: usize = 10;

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that the queue gave up by itself, so that their songs failed.
    pub given_up: u64,
    /// Hashes whose songs were `SPLITTING` with nobody at work.
    pub handed_back: u64,
    /// Hashes whose songs waited with no job on the queue.
    pub requested: u64,
    /// Hashes whose bytes nobody wanted any more.
    pub orphans: u64,
    /// Files that unfinished uploads left behind.
    pub leftovers: u64,
    /// Songs that were kept for as long as they are to be.
    pub expired: u64,
}

impl SongService {
    /// Compares songs, queue and blobs and mends what does not fit together; harmless at any time. Of several servers one
    /// at a time does it; for the others there is nothing to do. A database that takes no writes is not believed: then
    /// nothing is done at all.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; what is left is for the next time.
    pub async fn sweep(&self) -> Result<Swept, ServiceError> {
        let mut swept = Swept::default();
        let ports = self.ports();
        let Some(_alone) = ports.commons.lock_sweep().await? else { return Ok(swept) };
        ports.songs.check().await?;
        self.relay_or_warn().await;
        // Before anything is asked for again: what the queue has given up is not lost.
        self.note_given_up(&mut swept.given_up).await;
        for hash in ports.songs.hashes_in(StatusKind::Splitting).await? {
            let abandoned = match ports.queue.state(&hash).await? {
                JobState::Waiting { .. } | JobState::Absent => true,
                JobState::Leased => false,
                JobState::Unknown => self.silent_for(&hash, self.settings().silent_after).await?,
            };
            if abandoned {
                ports.songs.advance(&hash, &Advance::HandBack).await?;
                self.rest(&hash).await?;
                swept.handed_back += 1;
            }
        }
        // Asked once, and only where somebody wants to know.
        let mut queue_is_empty = None;
        let SongSettings { lost_after, ask_again_after, .. } = *self.settings();
        for hash in ports.songs.hashes_in(StatusKind::Uploaded).await? {
            let lost = match ports.queue.state(&hash).await? {
                JobState::Absent => true,
                JobState::Waiting { .. } | JobState::Leased => false,
                // As long as others wait, it may be one of them, but not for ever.
                JobState::Unknown => {
                    self.silent_for(&hash, ask_again_after).await?
                        || self.silent_for(&hash, lost_after).await?
                            && match queue_is_empty {
                                Some(is_empty) => is_empty,
                                None => *queue_is_empty.insert(ports.queue.depth().await?.waiting == 0),
                            }
                }
            };
            if lost {
                ports.songs.request(&hash).await?;
                swept.requested += 1;
            }
        }
        self.relay_or_warn().await;
        swept.leftovers = ports.blobs.sweep().await?;
        swept.orphans = self.sweep_orphans().await?;
        self.sweep_expired(&mut swept).await?;
        self.sweep_uploaders().await;
        ports.commons.tidy(ports.clock.now()).await?;
        if swept != Swept::default() {
            tracing::info!(?swept, "swept");
        }
        Ok(swept)
    }

    /// Has songs fail whose jobs the queue gave up by itself, since none of their workers lived to say so. As with the
    /// relay, a queue that is away is no reason to leave the rest as it is: what could not be noted comes again.
    async fn note_given_up(&self, noted: &mut u64) {
        if let Err(error) = self.try_note_given_up(noted).await {
            tracing::warn!(error = chain(&error), "what the queue gave up is noted later");
        }
    }

    async fn try_note_given_up(&self, noted: &mut u64) -> Result<(), ServiceError> {
        while let Some(given_up) = self.ports().queue.given_up().await? {
            let DeadLetter { hash, reason, attempts } = given_up.letter();
            tracing::warn!(%hash, attempts, "the queue gave a job up");
            // Whoever was told of it before may have died after its songs failed. If they were asked for again since, that is
            // another attempt, and not the one that was given up.
            let is_over = match given_up.repeated_since() {
                Some(since) => self.ports().commons.heard(hash).await?.is_some_and(|heard| heard.at > since),
                None => false,
            };
            if !is_over {
                self.give_up(hash, reason).await?;
            }
            given_up.file().await?;
            *noted += 1;
        }
        Ok(())
    }

    /// Removes the bytes that no song has, and says of how many hashes.
    ///
    /// The database may be older than the bytes: a restored backup, or one that lost its last changes. So bytes stay that
    /// are younger than its newest song or than [`SongSettings::keep_orphans`](super::SongSettings::keep_orphans).
    async fn sweep_orphans(&self) -> Result<u64, ServiceError> {
        let ports = self.ports();
        let Some(newest) = ports.songs.newest_upload().await? else { return Ok(0) };
        let old = newest.min(ports.clock.now() - self.settings().keep_orphans);
        let stored = ports.blobs.hashes().await?;
        let mut known = HashSet::new();
        for status in StatusKind::ALL {
            known.extend(ports.songs.hashes_in(status).await?);
        }
        let orphans: Vec<_> = stored.iter().filter(|hash| !known.contains(hash)).collect();
        // A crash leaves a few. A database that is not the one of these bytes, or an older one, would leave most.
        if orphans.len() > MOST_ORPHANS && orphans.len() * 2 > stored.len() {
            tracing::error!(
                orphans = orphans.len(),
                stored = stored.len(),
                "most of what is stored belongs to no song, and is left alone: is this the database of these files?"
            );
            return Ok(0);
        }
        let mut removed = 0;
        for hash in orphans {
            let _stays = ports.commons.lock(hash).await?;
            let is_old = ports.blobs.last_written(hash).await?.is_some_and(|written| written < old);
            // The lock last: where it was lost, somebody may be storing these bytes by now.
            if is_old && ports.songs.with_hash(hash).await?.is_empty() && ports.commons.renew(hash).await? {
                match ports.blobs.delete_all(hash).await {
                    Ok(()) => {
                        self.made().cache.forget(hash);
                        removed += 1;
                    }
                    Err(error) => tracing::warn!(%hash, error = chain(&error), "an orphan could not be removed"),
                }
            }
        }
        Ok(removed)
    }

    /// The bytes of a job are missing, or are not those of its hash. Songs that wait for it would wait for ever, so they
    /// fail; where there are none, they were deleted meanwhile. Looked at once more, under the lock: an upload may have
    /// brought them since. Says whether they are sound.
    pub(super) async fn check_source(&self, hash: &SongHash) -> Result<bool, ServiceError> {
        let ports = self.ports();
        let _stays = ports.commons.lock(hash).await?;
        let why = match self.read_source(hash, u64::MAX, &mut |_| ()).await? {
            Source::Sound | Source::TooLarge => return Ok(true),
            Source::Missing => "its file is missing on the server; upload it again",
            Source::Damaged => DAMAGED,
        };
        let failed = ports.songs.advance(hash, &Advance::Fail(FailureReason::new(why))).await?;
        if !failed.is_empty() {
            tracing::error!(%hash, songs = failed.len(), why, "songs failed");
            self.rest(hash).await?;
        }
        Ok(false)
    }

    /// A queue that is away is no reason to leave the rest as it is.
    async fn relay_or_warn(&self) {
        if let Err(error) = self.relay().await {
            tracing::warn!(error = chain(&error), "jobs wait for the queue");
        }
    }

    /// Whether nothing was heard of a hash for so long. The first time that nothing is known of it counts as a word.
    async fn silent_for(&self, hash: &SongHash, span: Duration) -> Result<bool, ServiceError> {
        match self.ports().commons.heard(hash).await? {
            Some(heard) if heard.at <= self.ports().clock.now() => Ok(self.ports().clock.now() - heard.at > span),
            // Nothing, or something in the future: the clock has gone back, and the time begins anew.
            heard => {
                self.hear(hash, heard.map_or(0, |heard| heard.percent)).await?;
                Ok(false)
            }
        }
    }
}
