//! The repository of songs and the outbox.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    JobLine, LabelRepository, LibraryRepository, MarkerRepository, RepositoryError, ResultRepository, ShareRepository,
    Space, TrashRepository, UploadRepository, WebhookRepository,
};
use crate::account::{UserId, Viewer};
use crate::dedupe::Advance;
use crate::models::ModelName;
use crate::quota::{Quota, QuotaChange, Uploader, Weight};
use crate::song::{Song, SongHash, SongId, StatusKind, Title};
use crate::trace::TraceContext;

/// The result of [`SongRepository::remove`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The removed song.
    pub song: Song,
    /// The number of remaining songs with the same hash, counted in the same atomic step. It is the input of
    /// [`on_delete`](crate::dedupe::on_delete).
    pub others_with_hash: u64,
}

/// The result of [`SongRepository::cancel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The cancelled song.
    pub song: Song,
    /// Whether another song with its hash waits for the stems, read in the same atomic step.
    pub is_wanted_by_others: bool,
}

/// Which songs to list.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{account::Viewer, memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, OffsetDateTime::UNIX_EPOCH);
/// # song.finish_upload()?;
/// # repository.admit(&song).await?;
/// let newest = SongFilter { limit: Some(20), ..SongFilter::all_of(Viewer::Anonymous) };
/// let page = repository.list(&newest).await?;
/// assert_eq!(page.len(), 1);
///
/// let older = SongFilter { after: page.last().map(Cursor::of), ..newest };
/// assert!(repository.list(&older).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SongFilter {
    /// Who asks: only songs that [`Viewer::may_see`] allows are listed. A share link adds none.
    pub viewer: Viewer,
    /// Only songs in this status.
    pub status: Option<StatusKind>,
    /// Only songs after this position in the list.
    pub after: Option<Cursor>,
    /// The maximum number of songs; `None` for all.
    pub limit: Option<u32>,
}

impl SongFilter {
    /// Queries all songs that a viewer may see.
    #[must_use]
    pub const fn all_of(viewer: Viewer) -> Self {
        Self { viewer, status: None, after: None, limit: None }
    }
}

/// A position in the list, which is ordered newest first, then by identifier. It stays valid when its song is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the song at this position was uploaded, in microseconds since 1970.
    pub uploaded_at_us: i64,
    /// The identifier of that song.
    pub id: SongId,
}

impl Cursor {
    /// Returns the position of a song.
    #[must_use]
    pub fn of(song: &Song) -> Self {
        let us = song.uploaded_at().unix_timestamp_nanos() / 1000;
        Self { uploaded_at_us: i64::try_from(us).unwrap_or(i64::MAX), id: song.id() }
    }
}

/// The quota that a new song is charged to, in the same step in which it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The uploader whose quota the song counts towards; `None` for no quota.
    pub uploader: Option<Uploader>,
    /// The uploader's quota.
    pub quota: Quota,
    /// The song's size and length.
    pub weight: Weight,
    /// The current time.
    pub now: OffsetDateTime,
}

impl Charge {
    /// Charges nothing.
    pub const NONE: Self = Self {
        uploader: None,
        quota: Quota { max_songs: None, max_bytes: None, max_audio_per_day: None, max_uploads_per_minute: None },
        weight: Weight { size_bytes: 0, audio: Duration::ZERO },
        now: OffsetDateTime::UNIX_EPOCH,
    };
}

/// Which songs [`SongRepository::expired`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Songs kept since before this time.
    pub before: OffsetDateTime,
    /// Only anonymous songs.
    pub anonymous_only: bool,
}

/// An outbox entry: a job requested in the same step in which its song was stored, and not yet known to be on the
/// queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The number of this entry; never reused.
    pub number: i64,
    /// The [key](crate::song::Target::key) of the songs to split: their hash for the default model.
    pub hash: SongHash,
    /// The [trace](crate::trace::current) in which the entry was added.
    pub trace: Option<TraceContext>,
}

/// What else is counted, for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of `UPLOADED` songs by model, in no guaranteed order; `None` stands for the default model.
    pub waiting: Vec<(Option<ModelName>, u64)>,
    /// The number of different owners of `UPLOADED` songs; all anonymous ones count as one.
    pub waiting_owners: u64,
    /// The number of share links.
    pub shares: u64,
    /// The number of songs in the trash. [`SongRepository::count`] does not count them.
    pub trashed: u64,
}

/// The number of songs in each status, in the order of [`StatusKind::ALL`].
pub type SongCounts = [u64; StatusKind::ALL.len()];

/// Stores songs, their share links and the outbox of jobs they need; their bytes are in a [`BlobStore`](super::BlobStore).
///
/// Times have microsecond precision. A read sees every write that returned before it started. All methods are
/// cancel-safe in the sense that a dropped future has had its whole effect or none. Each method is one atomic step: a
/// concurrent call sees all of it or nothing. Every method may return [`RepositoryError::Unavailable`] or
/// [`RepositoryError::Corrupt`].
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{account::Viewer, memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, OffsetDateTime::UNIX_EPOCH);
/// # song.finish_upload()?;
/// # use vocalizer_core::dedupe::Advance;
/// // `song` is `UPLOADED`: its bytes are stored, and it needs a job.
/// repository.admit(&song).await?;
/// assert_eq!(repository.pending(10).await?[0].hash, hash);
///
/// // A worker has delivered the stems.
/// let split = repository.advance(&hash, &Advance::FINISH_MP3).await?;
/// assert_eq!(split[0].status().kind(), StatusKind::Split);
/// assert!(repository.pending(10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SongRepository:
    LibraryRepository
    + LabelRepository
    + ShareRepository
    + MarkerRepository
    + ResultRepository
    + TrashRepository
    + UploadRepository
{
    /// Stores a new song whose bytes are durably stored, and plans its processing.
    ///
    /// In one step: [`settle`](crate::dedupe::settle) decides by the songs with the same hash and the results of its key,
    /// and the song is stored. If the plan is to
    /// enqueue, its hash gets a new entry in the outbox, replacing an existing one: the old entry may be about to be
    /// removed for a job that a worker already dropped. The entry keeps the [current trace](crate::trace::current). Returns the song as stored, durable on return. Admitting the
    /// same song again succeeds without effect and returns its current state.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if another song has this identifier, its uploader does not exist, or it is new and
    /// not `UPLOADED`.
    async fn admit(&self, song: &Song) -> Result<Song, RepositoryError> {
        self.admit_within(song, &Charge::NONE).await
    }

    /// Admits a song like [`Self::admit`] if the uploader's quota allows it ([`Quota::admit`]), and charges it.
    /// Charging and storing are one step, so concurrent songs cannot exceed a limit.
    ///
    /// The size is stored with the song, and so is the digest of an address whose quota has totals.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Exceeded`], and those of [`Self::admit`].
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError>;

    /// Counts the start of an upload by the rule of [`Quota::begin`], durably on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Exceeded`].
    async fn begin_upload(
        &self,
        uploader: &Uploader,
        quota: &Quota,
        now: OffsetDateTime,
    ) -> Result<(), RepositoryError>;

    /// Deletes uploaders whose rate limits have recovered at `now` and, without `keep_addresses`, the addresses of
    /// songs.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_uploaders(&self, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError>;

    /// Returns the time against which the age of songs is measured: `now`, but at most `most` later than the last call
    /// returned, and not later than the store's own clock, if it has one. Durable on return. A clock that is set ahead
    /// thus ages songs by at most `most` per call, and setting it back undoes that.
    ///
    /// A song admitted with an earlier upload time than this counts as kept since this time, so a song uploaded while
    /// the clock was set back is not immediately old.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn retention_time(&self, now: OffsetDateTime, most: Duration) -> Result<OffsetDateTime, RepositoryError>;

    /// Returns songs that are `SPLIT` or `FAILED` and kept since before a time, oldest first, at most `limit`. Those in the
    /// [trash](TrashRepository) are included.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError>;

    /// Retries a `FAILED` song: [`Transition::Retry`](crate::song::Transition::Retry), then as in [`Self::admit`].
    /// `None` if there is no such song.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if it is not `FAILED`, and so for a repeat.
    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Cancels the splitting of a song: [`Transition::Cancel`](crate::song::Transition::Cancel). If no other song with its
    /// [key](crate::song::Target::key) is `UPLOADED` or `SPLITTING`, the outbox entry of this key is removed in the same step. `None` if there is no
    /// such song. A repeat changes nothing and succeeds.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if it is not `UPLOADED`, `SPLITTING` or cancelled.
    async fn cancel(&self, id: SongId) -> Result<Option<Cancelled>, RepositoryError>;

    /// Returns the lines of the `UPLOADED` songs with a [key](crate::song::Target::key), each once: the highest priority first, then the oldest song.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn lines(&self, key: &SongHash) -> Result<Vec<JobLine>, RepositoryError>;

    /// Sets the priority of a user's jobs that are published from now on. 0 is the default.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if there is no such user.
    async fn set_priority(&self, user: UserId, priority: i32) -> Result<(), RepositoryError>;

    /// Applies [`Advance::apply`] to every song with a [key](crate::song::Target::key), which is the hash for the default
    /// model, and returns the changed songs. A repeat changes nothing and returns none.
    ///
    /// [`Advance::Finish`] also stores what is known of the stems, with the songs and among the
    /// [results](ResultRepository). It and [`Advance::Fail`] remove the outbox entry of
    /// this hash.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError>;

    /// Renames a song and returns it; `None` if there is no such song.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError>;

    /// Finds a song; `None` if there is none. The caller checks who may see it.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Lists songs, newest first, then by identifier.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn list(&self, query: &SongFilter) -> Result<Vec<Song>, RepositoryError>;

    /// Lists all songs with a hash, of all owners, also those in the [trash](TrashRepository). For the rules in
    /// [`dedupe`](crate::dedupe), never for a response.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError>;

    /// Returns the [keys](crate::song::Target::key) that have songs in a status, each once, in no guaranteed order.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError>;

    /// Removes a song, also from the [trash](TrashRepository), and returns how many others share its bytes. Webhooks are
    /// told unless it was in the trash: then they know.
    ///
    /// Its [share links](ShareRepository) and [markers](MarkerRepository) are removed with it. Removing the last song of a hash also removes its outbox
    /// entries and its [results](ResultRepository). On return the song is durably removed. A repeat
    /// returns `None`, so only one of two callers deletes blobs. A song with the same hash may be admitted right after
    /// the count: a caller that deletes blobs must block uploads of that hash until they are deleted.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError>;

    /// Adds a hash to the outbox if it is not there yet, for songs found waiting without a job.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError>;

    /// Returns the oldest outbox entries, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError>;

    /// Claims the oldest unclaimed outbox entries, at most `limit`. Until an entry is published or released, or `lasts`
    /// has passed, no other caller in any process gets it. The claims of a crashed process expire after `lasts` at the
    /// latest.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError>;

    /// Releases a claimed entry that could not be published. Idempotent.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn release(&self, number: i64) -> Result<(), RepositoryError>;

    /// Removes an entry once the queue has its job. Idempotent.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn published(&self, number: i64) -> Result<(), RepositoryError>;

    /// Returns how a user's quota differs from that of all users. The default suits a store without
    /// [`Administration`](super::Administration), as do the next three.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn quota_of(&self, _user: UserId) -> Result<QuotaChange, RepositoryError> {
        Ok(QuotaChange::default())
    }

    /// Returns whether jobs stay in the outbox because an operator holds them back.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn is_holding(&self) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    /// Returns hashes whose last song an operator deleted without their files, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn erasures(&self, _limit: u32) -> Result<Vec<SongHash>, RepositoryError> {
        Ok(Vec::new())
    }

    /// Removes a hash from the [erasures](Self::erasures).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn erased(&self, _hash: &SongHash) -> Result<(), RepositoryError> {
        Ok(())
    }

    /// Counts the songs in each status.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn count(&self) -> Result<SongCounts, RepositoryError>;

    /// Counts what waits and what is shared. The default counts nothing.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn census(&self) -> Result<Census, RepositoryError> {
        Ok(Census::default())
    }

    /// Returns when the newest song was uploaded; `None` if there is no song. Newer blobs may belong to a song that is
    /// missing from a restored database.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError>;

    /// Checks that the store works, for readiness checks and before a sweep deletes anything. Override it with a write
    /// that changes nothing if the store can become read-only (a full disk, a lost log).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn check(&self) -> Result<(), RepositoryError> {
        self.count().await.map(|_| ())
    }

    /// Returns the space of the disk that the store writes to; `None` if it is not on this machine.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    async fn space(&self) -> Result<Option<Space>, RepositoryError> {
        Ok(None)
    }

    /// Returns the webhooks, if this repository has them and adds their deliveries. Default: it does not.
    fn webhooks(&self) -> Option<&dyn WebhookRepository> {
        None
    }
}
