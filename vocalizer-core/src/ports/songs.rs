//! Where songs are kept.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{RepositoryError, Space};
use crate::account::Viewer;
use crate::dedupe::Advance;
use crate::quota::{Quota, Uploader, Weight};
use crate::song::{Song, SongHash, SongId, StatusKind, Title};

/// What [`SongRepository::remove`] took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The song as it last was.
    pub song: Song,
    /// How many songs with the same hash are left, counted in the same atomic step: the input of
    /// [`on_delete`](crate::dedupe::on_delete).
    pub others_with_hash: u64,
}

/// Which songs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SongQuery {
    /// Who asks: only what [`Viewer::may_see`] allows is listed.
    pub viewer: Viewer,
    /// Only songs in this status.
    pub status: Option<StatusKind>,
    /// Only songs after this one in the order of the list.
    pub after: Option<Cursor>,
    /// At most so many; `None` for all.
    pub limit: Option<u32>,
}

impl SongQuery {
    /// Everything that a viewer may see.
    #[must_use]
    pub const fn all_of(viewer: Viewer) -> Self {
        Self { viewer, status: None, after: None, limit: None }
    }
}

/// A place in the list: newest first, ties in the order of identifiers. It stays good when its song is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the song at this place was uploaded, in microseconds since 1970.
    pub uploaded_at_us: i64,
    /// Which song it is.
    pub id: SongId,
}

impl Cursor {
    /// The place of a song.
    #[must_use]
    pub fn of(song: &Song) -> Self {
        let us = song.uploaded_at().unix_timestamp_nanos() / 1000;
        Self { uploaded_at_us: i64::try_from(us).unwrap_or(i64::MAX), id: song.id() }
    }
}

/// What a new song is counted against, in the same step as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The uploader whose quota the song counts towards; `None`: no quota.
    pub uploader: Option<Uploader>,
    /// What they may do.
    pub quota: Quota,
    /// What the song comes to.
    pub weight: Weight,
    /// The time.
    pub now: OffsetDateTime,
}

impl Charge {
    /// A song that counts for nothing.
    pub const NONE: Self = Self {
        uploader: None,
        quota: Quota { max_songs: None, max_bytes: None, max_audio_per_day: None, max_uploads_per_minute: None },
        weight: Weight { size_bytes: 0, audio: Duration::ZERO },
        now: OffsetDateTime::UNIX_EPOCH,
    };
}

/// Which songs [`SongRepository::expired`] is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Those that are kept since before this.
    pub before: OffsetDateTime,
    /// Only those that nobody owns.
    pub anonymous_only: bool,
}

/// A job that was asked for in the same step as its song was stored, and that is not known to be on the queue yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Names this wish; never used twice.
    pub number: i64,
    /// What is to be split.
    pub hash: SongHash,
}

/// How many songs there are in each status, in the order of [`StatusKind::ALL`].
pub type SongCounts = [u64; StatusKind::ALL.len()];

/// Keeps songs and, beside them, the outbox of jobs that they need; their bytes are in a [`BlobStore`](super::BlobStore).
///
/// Times are kept to the microsecond. Reads see every write that returned before they began. All methods are cancel-safe
/// in the sense that a dropped future has had its whole effect or none. Each method is one atomic step: whoever comes at
/// the same time sees all of it or nothing. Every method may end in [`RepositoryError::Unavailable`] or
/// [`RepositoryError::Corrupt`].
#[async_trait]
pub trait SongRepository: Send + Sync {
    /// Stores a new song whose bytes are safely stored, and decides what becomes of it.
    ///
    /// In one step: the songs with its hash are looked at, [`on_upload`](crate::dedupe::on_upload) decides, the song goes
    /// through [`UploadPlan::transitions`](crate::dedupe::UploadPlan::transitions) and is stored, and where the plan is to
    /// enqueue, its hash goes into the outbox under a new number, also where it is there already: the old wish may be about
    /// to be crossed off, for a job that nobody wanted. Returns the song as stored. On return all of it is durable.
    /// Admitting the same song again is a success without effect and returns it as it is now.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when another song has this identifier, its uploader is gone, or it is new and not
    /// `UPLOADED`.
    async fn admit(&self, song: &Song) -> Result<Song, RepositoryError> {
        self.admit_within(song, &Charge::NONE).await
    }

    /// Does what [`Self::admit`] does where the uploader's quota allows it ([`Quota::admit`]), and counts the song. The
    /// counting and the storing are one step: of songs that come at the same time none gets past a limit.
    ///
    /// The size is kept with the song, and so is the digest of an address whose quota has totals.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Exceeded`], and those of [`Self::admit`].
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError>;

    /// Counts the beginning of an upload by the rule of [`Quota::begin`], durably on return.
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

    /// Forgets uploaders whose rates have recovered at `now`, and without `keep_addresses` from which address songs came.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_uploaders(&self, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError>;

    /// The time that the age of songs is measured at: `now`, but at most `most` later than what the last call returned,
    /// and where the store has a clock of its own, not later than that. Durable on return. A clock that is set ahead thus
    /// ages songs by `most` a call, and one that is set back again takes all of it back.
    ///
    /// A song that is admitted with an earlier time than this counts as kept since this time: one that was uploaded while
    /// the clock was set back is not old at once.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn retention_time(&self, now: OffsetDateTime, most: Duration) -> Result<OffsetDateTime, RepositoryError>;

    /// Songs that are `SPLIT` or `FAILED` and kept since before a time, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError>;

    /// Asks to split a `FAILED` song once more: [`Transition::Retry`](crate::song::Transition::Retry), and then as in
    /// [`Self::admit`]. `None` where there is no such song.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when it is not `FAILED`, so a repeat ends here.
    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Takes every song with a hash through what [`Advance::transitions`] says of it, and returns those that changed, as
    /// they are now. A repeat changes nothing and returns none.
    ///
    /// With [`Advance::Finish`] and [`Advance::Fail`], what the outbox holds of this hash goes, too.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError>;

    /// Gives a song another title and returns it; `None` where there is no such song.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError>;

    /// Finds a song, `None` where there is none. Who may see it is the caller's question.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError>;

    /// Lists songs, newest first, ties in the order of identifiers.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn list(&self, query: &SongQuery) -> Result<Vec<Song>, RepositoryError>;

    /// Lists every song with a hash, whoever owns it. For the rules in [`dedupe`](crate::dedupe), never for an answer.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError>;

    /// The hashes that have songs in a status, each once, in no promised order.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError>;

    /// Removes a song and says how many others share its bytes.
    ///
    /// With the last song of a hash, what the outbox holds of it goes. On return the song is durably gone. A repeat finds
    /// nothing and returns `None`, so of two callers only one is told to delete blobs. A song with the same hash may be
    /// admitted right after the count: whoever deletes blobs must keep uploads of that hash out until they are gone.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError>;

    /// Puts a hash into the outbox where it is not there yet: for songs found waiting without a job.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError>;

    /// The oldest wishes in the outbox, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError>;

    /// The oldest wishes that nobody is at, at most `limit`, for the caller alone: until one is crossed off or let go, or
    /// `lasts` is over, nobody else gets it, in this process or another. What a process held when it died is free at the
    /// latest when `lasts` is over.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError>;

    /// Lets a wish go that was claimed and could not be fulfilled. A repeat does no harm.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn release(&self, number: i64) -> Result<(), RepositoryError>;

    /// Crosses a wish off, once the queue has its job. A repeat does no harm.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn published(&self, number: i64) -> Result<(), RepositoryError>;

    /// How many songs there are in each status.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn count(&self) -> Result<SongCounts, RepositoryError>;

    /// When the newest song was uploaded; `None` where there is no song. Bytes that are younger may belong to a song that
    /// an older copy of the database does not know.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError>;

    /// Whether the store works: for a readiness check, and before a sweep deletes anything. A store that can be read and
    /// not written to (a full disk, a lost log) overrides this with a write that changes nothing.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn check(&self) -> Result<(), RepositoryError> {
        self.count().await.map(|_| ())
    }

    /// How much space the disk has that the store writes to; `None` where there is no disk of this machine.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    async fn space(&self) -> Result<Option<Space>, RepositoryError> {
        Ok(None)
    }
}
