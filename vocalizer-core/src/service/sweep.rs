//! Repairs inconsistencies after a crash.

use std::time::Duration;

use super::ServiceError;
use super::relay::SourceState;
use super::song_settings::SongSettings;
use super::songs::SongService;
use super::storage::Storage;
use crate::causes::chain;
use crate::dedupe::Advance;
use crate::ports::{DeadLetter, JobState};
use crate::song::{FailureReason, Song, SongHash, StatusKind};
use crate::worker::DAMAGED;

/// Most erasures of a sweep; the next one does the rest.
const MOST_ERASURES: u32 = 1000;

/// States of jobs that are queried in one step. A fair queue counts all its jobs for each query.
const STATES_AT_ONCE: usize = 100;

/// The findings of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that the queue dead-lettered, so that their songs failed.
    pub given_up: u64,
    /// Hashes whose songs were `SPLITTING` without a worker.
    pub handed_back: u64,
    /// Hashes whose songs waited without a job on the queue.
    pub requested: u64,
    /// Hashes whose songs failed because no worker has their model.
    pub without_worker: u64,
    /// Hashes whose bytes had no song.
    pub orphans: u64,
    /// Hashes whose songs an operator deleted.
    pub erased: u64,
    /// Files left behind by unfinished uploads.
    pub leftovers: u64,
    /// Songs deleted at the end of their retention.
    pub expired: u64,
    /// Songs removed from the trash.
    pub trashed: u64,
    /// Resumable uploads that were not finished in time, and records of finished ones.
    pub uploads: u64,
}

impl SongService {
    /// Compares songs, queue and blobs and repairs what does not match. Safe to run at any time. Only one server runs
    /// it at a time; on the others it returns at once. If the database accepts no writes, nothing is done.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; the next sweep does the rest.
    pub async fn sweep(&self) -> Result<Swept, ServiceError> {
        let mut swept = Swept::default();
        let ports = self.ports();
        let Some(_sweep_lock) = ports.coordination.lock_sweep().await? else { return Ok(swept) };
        ports.songs.check().await?;
        // A failing part does not stop the others: a broker that is down must not keep expired songs on the disk.
        let jobs = self.sweep_jobs(&mut swept).await;
        let leftovers = ports.blobs.sweep().await.map(|leftovers| swept.leftovers = leftovers).map_err(Into::into);
        let uploads = self.sweep_uploads(&mut swept).await;
        let erasures = self.sweep_erasures().await.map(|erased| swept.erased = erased);
        let orphans = self.sweep_orphans().await.map(|orphans| swept.orphans = orphans);
        let expired = self.sweep_expired(&mut swept).await;
        self.sweep_uploaders().await;
        let progress = ports.coordination.forget_old_progress(ports.clock.now()).await.map_err(Into::into);
        let deletions = ports.coordination.forget_old_deletions(ports.clock.now()).await.map_err(Into::into);
        let shares = self.sweep_shares().await;
        let webhooks = self.sweep_deliveries().await;
        let sort_keys = self.sweep_sort_keys().await;
        if swept != Swept::default() {
            tracing::info!(?swept, "sweep finished");
        }
        let mut failed = None;
        for error in
            [jobs, leftovers, uploads, erasures, orphans, expired, progress, deletions, shares, webhooks, sort_keys]
                .into_iter()
                .filter_map(Result::err)
        {
            if let Some(other) = failed.replace(error) {
                tracing::warn!(error = chain(&other), "a part of the sweep failed");
            }
        }
        failed.map_or(Ok(swept), Err)
    }

    /// Finds jobs that the queue dead-lettered, abandoned or lost.
    async fn sweep_jobs(&self, swept: &mut Swept) -> Result<(), ServiceError> {
        let ports = self.ports();
        self.relay_or_warn().await;
        // Before jobs are requested again: a dead-lettered job is not lost.
        self.fail_dead_letters(&mut swept.given_up).await;
        for hash in ports.songs.hashes_in(StatusKind::Splitting).await? {
            let abandoned = match ports.queue.state(&hash).await? {
                JobState::Waiting { .. } | JobState::Absent => true,
                JobState::Leased => false,
                JobState::Unknown => self.silent_for(&hash, self.settings().silent_after).await?,
            };
            if abandoned {
                ports.songs.advance(&hash, &Advance::HandBack).await?;
                self.clear_progress(&hash).await?;
                swept.handed_back += 1;
            }
        }
        // Queried at most once, and only if needed.
        let mut queue_is_empty = None;
        let SongSettings { lost_after, ask_again_after, .. } = *self.settings();
        for hashes in ports.songs.hashes_in(StatusKind::Uploaded).await?.chunks(STATES_AT_ONCE) {
            for (hash, state) in hashes.iter().zip(ports.queue.states(hashes).await?) {
                let lost = match state {
                    JobState::Absent => true,
                    JobState::Waiting { .. } | JobState::Leased => false,
                    // While other jobs wait, this one may be among them, but only up to a limit.
                    JobState::Unknown => {
                        self.silent_for(hash, ask_again_after).await?
                            || self.silent_for(hash, lost_after).await?
                                && match queue_is_empty {
                                    Some(is_empty) => is_empty,
                                    None => *queue_is_empty.insert(ports.queue.depth().await?.waiting == 0),
                                }
                    }
                };
                if self.fail_without_worker(hash).await? {
                    swept.without_worker += 1;
                } else if lost {
                    ports.songs.request(hash).await?;
                    swept.requested += 1;
                }
            }
        }
        self.relay_or_warn().await;
        Ok(())
    }

    /// Fails the songs whose jobs the queue dead-lettered, since none of their workers survived to report it. An
    /// unavailable queue must not stop the sweep; the letters are redelivered.
    async fn fail_dead_letters(&self, count: &mut u64) {
        if let Err(error) = self.try_fail_dead_letters(count).await {
            tracing::warn!(error = chain(&error), "reading dead letters failed; the next sweep retries");
        }
    }

    async fn try_fail_dead_letters(&self, count: &mut u64) -> Result<(), ServiceError> {
        while let Some(given_up) = self.ports().queue.given_up().await? {
            let DeadLetter { hash, reason, attempts } = given_up.letter();
            tracing::warn!(%hash, attempts, "job dead-lettered by the queue");
            // An earlier reader may have died after it failed the songs. If they were retried since, the letter belongs
            // to the earlier attempt.
            let is_over = match given_up.repeated_since() {
                Some(since) => self.ports().coordination.progress(hash).await?.is_some_and(|heard| heard.at > since),
                None => false,
            };
            if !is_over {
                self.give_up(hash, reason).await?;
            }
            given_up.file().await?;
            *count += 1;
        }
        Ok(())
    }

    /// Removes bytes that have no song and returns the number of hashes.
    async fn sweep_orphans(&self) -> Result<u64, ServiceError> {
        let ports = self.ports();
        let storage = Storage::of(ports, self.settings().keep_orphans);
        let orphans = storage.orphans().await?;
        if orphans.is_suspicious() {
            tracing::error!(
                orphans = orphans.hashes.len(),
                stored = orphans.stored,
                "orphan removal skipped: most stored files have no song; check that this is the database of these files"
            );
            return Ok(0);
        }
        let mut removed = 0;
        for hash in &orphans.hashes {
            if storage.remove(hash, orphans.before).await? {
                self.made().cache.forget(hash);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Deletes the files of songs that an operator deleted while this server had the locks.
    async fn sweep_erasures(&self) -> Result<u64, ServiceError> {
        let (ports, mut removed) = (self.ports(), 0);
        let storage = Storage::of(ports, self.settings().keep_orphans);
        for hash in ports.songs.erasures(MOST_ERASURES).await? {
            let _lock = ports.coordination.lock(&hash).await?;
            if !storage.is_known(&hash).await? {
                ports.coordination.record_deletion(&hash, ports.clock.now()).await?;
                self.delete_bytes(&hash, &[hash]).await?;
                self.made().cache.forget(&hash);
                removed += 1;
            }
            ports.songs.erased(&hash).await?;
        }
        Ok(removed)
    }

    /// Checks the source of a job whose bytes are missing or do not match the hash, and returns whether it is intact.
    /// Songs that wait for a bad source fail; if there are none, they were deleted meanwhile. The check repeats the
    /// read under the lock, since an upload may have stored the bytes since.
    pub(super) async fn check_source(&self, hash: &SongHash) -> Result<bool, ServiceError> {
        let ports = self.ports();
        let _lock = ports.coordination.lock(hash).await?;
        let why = match self.read_source(hash, u64::MAX, &mut |_| ()).await? {
            SourceState::Sound | SourceState::TooLarge => return Ok(true),
            SourceState::Missing => "its file is missing on the server; upload it again",
            SourceState::Damaged => DAMAGED,
        };
        let mut keys: Vec<_> = ports.songs.with_hash(hash).await?.iter().map(|song| song.target().key).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let failed = ports.songs.advance(&key, &Advance::Fail(FailureReason::new(why))).await?;
            if !failed.is_empty() {
                tracing::error!(%hash, songs = failed.len(), why, "source check failed; songs marked as failed");
                self.clear_progress(&key).await?;
            }
        }
        Ok(false)
    }

    /// Fails the waiting songs of a key if no worker for their model was there for
    /// [`SongSettings::model_timeout`](super::SongSettings::model_timeout). Not those of the default model: original workers
    /// of a broker are not seen.
    async fn fail_without_worker(&self, key: &SongHash) -> Result<bool, ServiceError> {
        let songs = self.ports().songs.with_key(key).await?;
        let Some(song) = songs.first() else { return Ok(false) };
        let (model, default, since) = (self.model_of_song(song), self.models().default_model().name, waiting_key(key));
        if song.hash() == key && model == default {
            return Ok(false);
        }
        if self.has_worker(&model).await {
            self.ports().coordination.clear_progress(&since).await?;
            return Ok(false);
        }
        if !self.silent_for(&since, self.settings().model_timeout).await? {
            return Ok(false);
        }
        self.ports().coordination.clear_progress(&since).await?;
        let minutes = self.settings().model_timeout.as_secs().div_ceil(60);
        let reason = format!("no worker for the model {model} was there for {minutes} minutes; choose another model");
        self.give_up(key, &FailureReason::new(&reason)).await?;
        Ok(true)
    }

    /// Forgets that songs of a key waited for a worker before: a new one has the whole time.
    pub(super) async fn restart_waiting(&self, song: &Song) {
        let key = song.target().key;
        if key == *song.hash() {
            return;
        }
        // The song is committed: a failure here is no answer to its request.
        if let Err(error) = self.ports().coordination.clear_progress(&waiting_key(&key)).await {
            tracing::warn!(%key, error = chain(&error), "restarting the wait for a worker failed; the song may fail sooner");
        }
    }

    /// An unavailable queue must not stop the sweep.
    async fn relay_or_warn(&self) {
        if let Err(error) = self.relay().await {
            tracing::warn!(error = chain(&error), "publishing to the queue failed; jobs stay in the outbox");
        }
    }

    /// Returns whether the last report on a hash is older than `span`. If there is no report, one is recorded now.
    async fn silent_for(&self, hash: &SongHash, span: Duration) -> Result<bool, ServiceError> {
        match self.ports().coordination.progress(hash).await? {
            Some(heard) if heard.at <= self.ports().clock.now() => Ok(self.ports().clock.now() - heard.at > span),
            // No report, or one in the future because the clock went back: restart the interval.
            heard => {
                self.record_progress(hash, heard.map_or(0, |heard| heard.percent)).await?;
                Ok(false)
            }
        }
    }
}

/// The key under which servers share since when the songs of a key have waited without a worker for their model.
fn waiting_key(key: &SongHash) -> SongHash {
    SongHash::of(format!("vocalizer waits for a worker {key}").as_bytes())
}
