//! From the outbox to the queue.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as AsyncMutex;
use futures_util::stream::FuturesUnordered;

use super::ServiceError;
use super::songs::SongService;
use crate::causes::chain;
use crate::ports::{BlobError, BlobKey, Job, JobPayload, Pending, QueueError};
use crate::secret::Secret;
use crate::song::{SongHash, SongHasher};

/// How many jobs are published at a time. So many songs are in memory where their bytes travel along.
const AT_ONCE: usize = 4;

/// How long a claim lasts: more than a job takes, unless something is amiss.
const CLAIM: Duration = Duration::from_secs(60);

/// How long the blob store may take to open a song or to give its next bytes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the bytes of a song may take in all.
const LONGEST_READ: Duration = Duration::from_secs(30);

/// The shortest and the longest time before a job is tried again whose song could not be read.
const PUT_OFF: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5 * 60));

/// What the relay remembers between its rounds.
#[derive(Default)]
pub(super) struct Relay {
    /// Held by the round that is under way.
    round: AsyncMutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Wishes whose end the database could not be told; `true` for those whose job is on the queue.
    untold: Vec<(i64, bool)>,
    /// Wishes whose songs could not be read: how often, and until when they are left alone.
    put_off: HashMap<i64, (u32, Duration)>,
}

impl Relay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a song's source turned out to be.
pub(super) enum Source {
    /// The song.
    Sound,
    /// More bytes than were asked for.
    TooLarge,
    /// Not there.
    Missing,
    /// Something else than the song.
    Damaged,
}

impl SongService {
    /// Puts on the queue what the outbox holds, and says how much that was. One round at a time does it, several jobs at
    /// once: a song whose bytes do not come holds up no other.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]; what is left is for the next time.
    pub async fn relay(&self) -> Result<u64, ServiceError> {
        let _one_at_a_time = self.relaying().round.lock().await;
        self.tell_untold().await?;
        let (songs, clock) = (&self.ports().songs, &self.ports().clock);
        let (mut under_way, mut published, mut failed) = (FuturesUnordered::new(), 0, None);
        loop {
            let wished = self.wished();
            let free = AT_ONCE - under_way.len();
            if free > 0 && failed.is_none() {
                match songs.claim(u32::try_from(free).unwrap_or(1), CLAIM, clock.now()).await {
                    Ok(claimed) => under_way.extend(claimed.into_iter().map(|wish| self.relay_one(wish))),
                    Err(error) => failed = Some(error.into()),
                }
            }
            if under_way.is_empty() {
                return failed.map_or(Ok(published), Err);
            }
            let ended = if under_way.len() < AT_ONCE && failed.is_none() {
                match select(under_way.next(), wished).await {
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

    /// Ends when there is something for [`Self::relay`] that was not there when this was called.
    #[must_use]
    pub fn wished(&self) -> event_listener::EventListener {
        self.board().listen_for_wishes()
    }

    /// Relays at once where that is a matter of this machine, and else leaves it to whoever waits for
    /// [`wishes`](Self::wished): a broker may take its time, and an upload is not to wait for it.
    pub(super) async fn relay_soon(&self) {
        self.board().announce_wish();
        if self.ports().queue.max_inline_bytes().is_none()
            && let Err(error) = self.relay().await
        {
            // The wish is durable; the next round sees to it.
            tracing::warn!(error = chain(&error), "a job could not be put on the queue yet");
        }
    }

    /// Publishes the job of a wish, unless its song could not be read a short while ago. Says whether it is on the queue.
    async fn relay_one(&self, wish: Pending) -> Result<bool, ServiceError> {
        let Pending { number, hash } = wish;
        let now = self.ports().clock.elapsed();
        // It stays claimed for a while, and the others go on.
        if self.relaying().state().put_off.get(&number).is_some_and(|(_, until)| *until > now) {
            return Ok(false);
        }
        let published = self.publish(&hash).await;
        let is_published = match &published {
            Ok(()) => true,
            Err(Unpublished::Song(error)) => {
                tracing::error!(%hash, error = chain(error), "a song cannot be put on the queue");
                self.relaying().state().put_off(number, self.ports().clock.elapsed());
                return Ok(false);
            }
            Err(Unpublished::Queue(_)) => false,
        };
        self.relaying().state().put_off.remove(&number);
        let told = self.tell(number, is_published).await;
        if told.is_err() {
            self.relaying().state().untold.push((number, is_published));
        }
        match published {
            Err(Unpublished::Queue(error)) => Err(error),
            _ => told.map(|()| is_published),
        }
    }

    /// Crosses a wish off, or lets it go.
    async fn tell(&self, number: i64, is_published: bool) -> Result<(), ServiceError> {
        let songs = &self.ports().songs;
        let told = if is_published { songs.published(number).await } else { songs.release(number).await };
        Ok(told?)
    }

    /// What the database could not be told when it was away: else claims would hold until they run out.
    async fn tell_untold(&self) -> Result<(), ServiceError> {
        let untold = std::mem::take(&mut self.relaying().state().untold);
        for (place, (number, is_published)) in untold.iter().enumerate() {
            if let Err(error) = self.tell(*number, *is_published).await {
                self.relaying().state().untold.extend_from_slice(&untold[place..]);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Puts one job on the queue, with what the queue wants it to bring along.
    async fn publish(&self, hash: &SongHash) -> Result<(), Unpublished> {
        let queue = &self.ports().queue;
        let claim = || JobPayload::Claim(Secret::new(format!("/songs/{hash}/source")));
        let payload = match queue.max_inline_bytes() {
            None => JobPayload::Stored,
            Some(max_bytes) => {
                let mut song = Vec::new();
                let read = self.read_source(hash, max_bytes, &mut |chunk| song.extend_from_slice(chunk)).await?;
                match read {
                    Source::Sound => JobPayload::Inline(song.into()),
                    // Whoever fetches it looks at its bytes.
                    Source::TooLarge => claim(),
                    Source::Missing | Source::Damaged => {
                        if !self.check_source(hash).await? {
                            // Its songs have failed.
                            return Ok(());
                        }
                        let why = "its file was stored anew meanwhile";
                        return Err(Unpublished::Song(ServiceError::Unavailable(why.into())));
                    }
                }
            }
        };
        // From here on runs the time after which it counts as lost. A worker may be done before the queue has answered, so
        // that this would be the last word if it came later.
        self.hear(hash, 0).await?;
        let published = queue.publish(Job { hash: *hash, payload }).await;
        match published {
            // The broker carries less than it was thought to.
            Err(QueueError::TooLarge { .. }) => queue.publish(Job { hash: *hash, payload: claim() }).await,
            published => published,
        }
        .map_err(|error| Unpublished::Queue(error.into()))
    }

    /// Reads a song's source of at most so many bytes and compares it with its hash. Fails where the bytes do not come in
    /// time.
    pub(super) async fn read_source(
        &self,
        hash: &SongHash,
        max_bytes: u64,
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Source, ServiceError> {
        match self.read_in_time(LONGEST_READ, self.read_pieces(hash, max_bytes, take)).await {
            Err(BlobError::Damaged) => Ok(Source::Damaged),
            read => Ok(read?),
        }
    }

    async fn read_pieces(
        &self,
        hash: &SongHash,
        max_bytes: u64,
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Source, BlobError> {
        let opened = self.read_in_time(PATIENCE, self.ports().blobs.open(&BlobKey::Source(*hash), None)).await?;
        let Some(mut song) = opened else { return Ok(Source::Missing) };
        if song.size_bytes() > max_bytes {
            return Ok(Source::TooLarge);
        }
        let mut hasher = SongHasher::new();
        while let Some(chunk) = self.read_in_time(PATIENCE, song.next_chunk()).await? {
            hasher.update(&chunk);
            take(&chunk);
        }
        Ok(if hasher.finish() == *hash { Source::Sound } else { Source::Damaged })
    }

    async fn read_in_time<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        self.ports().clock.within(patience, work).await.unwrap_or_else(|| {
            let why = format!("its file could not be read within {} s", patience.as_secs());
            Err(BlobError::Unavailable(why.into()))
        })
    }
}

impl State {
    /// Leaves a wish alone for a while, longer each time.
    fn put_off(&mut self, number: i64, now: Duration) {
        let (shortest, longest) = PUT_OFF;
        // Songs that were deleted leave their entries behind.
        self.put_off.retain(|_, (_, until)| *until + longest > now);
        let (failures, until) = self.put_off.entry(number).or_default();
        let doubled = 1_u32.checked_shl(*failures).unwrap_or(u32::MAX);
        *failures = failures.saturating_add(1);
        *until = now.saturating_add(shortest.saturating_mul(doubled).min(longest));
    }
}

/// Why a job is not on the queue.
enum Unpublished {
    /// Something about this song, which is none about the next.
    Song(ServiceError),
    /// The queue, which is away for all of them.
    Queue(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for Unpublished {
    fn from(error: E) -> Self {
        Self::Song(error.into())
    }
}
