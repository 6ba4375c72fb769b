//! Publishes outbox entries to the queue.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::ServiceError;
use super::change_notifier::Changed;
use super::songs::SongService;
use crate::causes::chain;
use crate::ports::{BlobError, BlobKey, Job, JobPayload, JobTrace, Pending, QueueError};
use crate::secret::Secret;
use crate::song::{Song, SongHash, SongHasher};
use crate::trace::{Kind, TraceContext, Traced};

/// Jobs published concurrently. If payloads are inline, this many songs are in memory.
const CONCURRENCY: usize = 4;

/// How long an outbox claim lasts: normally longer than publishing takes.
const CLAIM_DURATION: Duration = Duration::from_secs(60);

/// Timeout for opening a song in the blob store and for each of its chunks.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for reading a whole song.
const SONG_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of checking a song's source.
pub(super) enum SourceState {
    /// Intact.
    Sound,
    /// Larger than the requested maximum.
    TooLarge,
    /// Missing.
    Missing,
    /// The bytes do not match the hash.
    Damaged,
}

impl SongService {
    /// Publishes the outbox to the queue and returns the number of published jobs. Only one round runs at a time, with
    /// several jobs in parallel, so that a song that cannot be read blocks no other. Publishes nothing while an operator
    /// [holds jobs back](crate::ports::SongRepository::is_holding).
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; the next round does the rest.
    pub async fn relay(&self) -> Result<u64, ServiceError> {
        let _round = self.relaying().round.lock().await;
        self.record_unrecorded().await?;
        if self.ports().songs.is_holding().await? {
            return Ok(0);
        }
        let (songs, clock) = (&self.ports().songs, &self.ports().clock);
        let (mut under_way, mut published, mut failed) = (FuturesUnordered::new(), 0, None);
        loop {
            let new_entry = self.outbox_changed();
            let free = CONCURRENCY - under_way.len();
            if free > 0 && failed.is_none() {
                match songs.claim(u32::try_from(free).unwrap_or(1), CLAIM_DURATION, clock.now()).await {
                    Ok(claimed) => under_way.extend(claimed.into_iter().map(|entry| self.relay_one(entry))),
                    Err(error) => failed = Some(error.into()),
                }
            }
            if under_way.is_empty() {
                return failed.map_or(Ok(published), Err);
            }
            let ended = if under_way.len() < CONCURRENCY && failed.is_none() {
                match select(under_way.next(), new_entry).await {
                    Either::Left((ended, _)) => ended,
                    Either::Right(_) => None,
                }
            } else {
                under_way.next().await
            };
            match ended {
                Some(Ok(is_published)) => published += u64::from(is_published),
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
        }
    }

    /// Completes when the outbox has a new entry for [`Self::relay`], counted from this call.
    pub fn outbox_changed(&self) -> Changed {
        self.changes().listen_for_entries()
    }

    /// Publishes at once if the queue is local. Otherwise leaves it to the task that waits for [`Self::outbox_changed`]: a
    /// broker may be slow, and an upload must not wait for it.
    ///
    /// If a local queue has the job of another owner with the same key, it moves into the earlier line.
    pub(super) async fn relay_soon(&self, key: &SongHash) {
        self.changes().announce_entry();
        if self.ports().queue.max_inline_bytes().is_some() {
            return;
        }
        if let Err(error) = self.relay().await {
            // The outbox entry is durable; the next round retries.
            tracing::warn!(error = chain(&error), "publishing to the queue failed; retrying");
        }
        if let Err(error) = self.share_turns(key).await {
            // The job stays in its line.
            tracing::warn!(error = chain(&error), "moving a job ahead in the queue failed");
        }
    }

    /// Moves a job that several owners share into the line in which it is delivered first.
    async fn share_turns(&self, key: &SongHash) -> Result<(), ServiceError> {
        let lines = self.ports().songs.lines(key).await?;
        if lines.len() > 1 {
            for line in lines {
                self.ports().queue.move_ahead(key, line).await?;
            }
        }
        Ok(())
    }

    /// Publishes the job of an outbox entry, unless its song failed to read recently. Returns whether it is on the
    /// queue.
    async fn relay_one(&self, entry: Pending) -> Result<bool, ServiceError> {
        let Pending { number, hash, trace } = entry;
        let now = self.ports().clock.elapsed();
        // It stays claimed for a while; the others continue.
        if self.relaying().state().postponed.get(&number).is_some_and(|(_, until)| *until > now) {
            return Ok(false);
        }
        let attributes = vec![("messaging.operation.type", "send".to_owned())];
        let make = |trace_id| tracing::info_span!("publish", %hash, trace_id);
        let publishing = Traced::child_of(trace, Kind::Producer, attributes, make);
        let parent = publishing.context();
        let published = publishing.run(self.publish(&hash, parent)).await;
        let is_published = match &published {
            Ok(()) => true,
            Err(Unpublished::Song(error)) => {
                tracing::error!(%hash, error = chain(error), "publishing a song failed; retrying later");
                self.relaying().state().postpone(number, self.ports().clock.elapsed());
                return Ok(false);
            }
            Err(Unpublished::Queue(_)) => false,
        };
        self.relaying().state().postponed.remove(&number);
        let recorded = self.record_outcome(number, is_published).await;
        if recorded.is_err() {
            self.relaying().state().unrecorded.push((number, is_published));
        }
        match published {
            Err(Unpublished::Queue(error)) => Err(error),
            _ => recorded.map(|()| is_published),
        }
    }

    /// Marks an entry as published, or releases it.
    async fn record_outcome(&self, number: i64, is_published: bool) -> Result<(), ServiceError> {
        let songs = &self.ports().songs;
        let recorded = if is_published { songs.published(number).await } else { songs.release(number).await };
        Ok(recorded?)
    }

    /// Stores outcomes that the database could not take earlier; otherwise their claims would last until they expire.
    async fn record_unrecorded(&self) -> Result<(), ServiceError> {
        let unrecorded = std::mem::take(&mut self.relaying().state().unrecorded);
        for (place, (number, is_published)) in unrecorded.iter().enumerate() {
            if let Err(error) = self.record_outcome(*number, *is_published).await {
                self.relaying().state().unrecorded.extend_from_slice(&unrecorded[place..]);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Publishes one job with the payload that the queue needs, and its trace.
    async fn publish(&self, key: &SongHash, parent: Option<TraceContext>) -> Result<(), Unpublished> {
        let queue = &self.ports().queue;
        let claim = || JobPayload::Claim(Secret::new(format!("/songs/{key}/source")));
        let songs = self.ports().songs.with_key(key).await?;
        let hash = songs.first().map_or(key, Song::hash);
        let job = |payload| {
            let now_ms = self.ports().clock.now().unix_timestamp_nanos() / 1_000_000;
            let trace = parent.map(|parent| JobTrace { parent, published_at_ms: i64::try_from(now_ms).ok() });
            match songs.first() {
                Some(song) => Job::new(*hash, payload).with_model(self.model_of_song(song), *key),
                None => Job::new(*key, payload),
            }
            .with_trace(trace)
        };
        let payload = match queue.max_inline_bytes() {
            None => JobPayload::Stored,
            Some(max_bytes) => {
                let mut song = Vec::new();
                let read = self.read_source(hash, max_bytes, &mut |chunk| song.extend_from_slice(chunk)).await?;
                match read {
                    SourceState::Sound => JobPayload::Inline(song.into()),
                    // The worker that fetches it verifies its bytes.
                    SourceState::TooLarge => claim(),
                    SourceState::Missing | SourceState::Damaged => {
                        if !self.check_source(hash).await? {
                            // Its songs have failed.
                            return Ok(());
                        }
                        let why = "its file was replaced during the read";
                        return Err(Unpublished::Song(ServiceError::Unavailable(why.into())));
                    }
                }
            }
        };
        let line = self.ports().songs.lines(key).await?.first().copied().unwrap_or_default();
        // The timeout after which the job counts as lost starts here. Recorded before publishing: a worker may finish
        // before the queue confirms, and a later record would overwrite its reports.
        self.record_progress(key, 0).await?;
        let published = queue.publish_in(job(payload), line).await;
        match published {
            // The broker's limit is lower than expected.
            Err(QueueError::TooLarge { .. }) => queue.publish_in(job(claim()), line).await,
            published => published,
        }
        .map_err(|error| match error {
            // Only jobs of this model. The sweep fails their songs in time.
            QueueError::NoModel { .. } => Unpublished::Song(error.into()),
            error => Unpublished::Queue(error.into()),
        })
    }

    /// Reads a song's source of at most `max_bytes` and compares it with its hash. Fails if the bytes do not arrive in
    /// time.
    pub(super) async fn read_source(
        &self,
        hash: &SongHash,
        max_bytes: u64,
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<SourceState, ServiceError> {
        match self.read_with_timeout(SONG_TIMEOUT, self.read_pieces(hash, max_bytes, take)).await {
            Err(BlobError::Damaged) => Ok(SourceState::Damaged),
            read => Ok(read?),
        }
    }

    async fn read_pieces(
        &self,
        hash: &SongHash,
        max_bytes: u64,
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<SourceState, BlobError> {
        let opened =
            self.read_with_timeout(CHUNK_TIMEOUT, self.ports().blobs.open(&BlobKey::Source(*hash), None)).await?;
        let Some(mut song) = opened else { return Ok(SourceState::Missing) };
        if song.size_bytes() > max_bytes {
            return Ok(SourceState::TooLarge);
        }
        let mut hasher = SongHasher::new();
        while let Some(chunk) = self.read_with_timeout(CHUNK_TIMEOUT, song.next_chunk()).await? {
            hasher.update(&chunk);
            take(&chunk);
        }
        Ok(if hasher.finish() == *hash { SourceState::Sound } else { SourceState::Damaged })
    }

    async fn read_with_timeout<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        self.ports().clock.within(timeout, work).await.unwrap_or_else(|| {
            let why = format!("reading its file timed out after {} s", timeout.as_secs());
            Err(BlobError::Unavailable(why.into()))
        })
    }
}

/// Why a job is not on the queue.
enum Unpublished {
    /// A problem with this song only.
    Song(ServiceError),
    /// The queue is unavailable, for every song.
    Queue(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for Unpublished {
    fn from(error: E) -> Self {
        Self::Song(error.into())
    }
}
