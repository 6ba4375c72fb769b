//! Conversion between rows and values.

use sqlx::{Error, Row};
use time::OffsetDateTime;
#[cfg(feature = "postgres")]
use vocalizer_core::account::Invite;
use vocalizer_core::account::{
    Account, ApiToken, Identity, PasswordHash, Session, SessionDigest, ShareLink, TokenName, UserId,
};
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::api::id::UploadId;
use vocalizer_core::models::ModelName;
use vocalizer_core::part::{InvalidStem, Stem};
use vocalizer_core::ports::{
    AuditEntry, Backlog, BoxError, Census, JobLine, PartialUpload, Pending, Place, PlaceValue, RepositoryError,
    SongRecord, TrashedSong, UserRecord,
};
use vocalizer_core::quota::{QuotaChange, Usage};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{
    Label, Marker, Song, SongFacts, SongHash, SongId, Status, StatusKind, StemsInfo, StoredSong, Target, Title,
};
use vocalizer_core::webhook::{Delivery, Health, Webhook};

/// Column types supported by every engine.
pub(crate) trait Columns {
    fn text(&self, name: &str) -> Result<&str, Error>;
    fn maybe_text(&self, name: &str) -> Result<Option<&str>, Error>;
    fn bytes(&self, name: &str) -> Result<&[u8], Error>;
    fn number(&self, name: &str) -> Result<i64, Error>;
    fn maybe_number(&self, name: &str) -> Result<Option<i64>, Error>;
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, name: &str) -> Result<&str, Error> {
                self.try_get(name)
            }

            fn maybe_text(&self, name: &str) -> Result<Option<&str>, Error> {
                self.try_get(name)
            }

            fn bytes(&self, name: &str) -> Result<&[u8], Error> {
                self.try_get(name)
            }

            fn number(&self, name: &str) -> Result<i64, Error> {
                self.try_get(name)
            }

            fn maybe_number(&self, name: &str) -> Result<Option<i64>, Error> {
                self.try_get(name)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
columns!(sqlx::sqlite::SqliteRow);
#[cfg(feature = "postgres")]
columns!(sqlx::postgres::PgRow);

/// Converts a time to its stored form, microseconds since 1970.
pub(crate) fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// Converts a stored time.
pub(crate) fn moment(micros: i64) -> Result<OffsetDateTime, BoxError> {
    Ok(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)?)
}

/// Reads a row, or returns [`RepositoryError::Corrupt`].
pub(crate) fn read<R, T>(row: &R, parse: fn(&R) -> Result<T, BoxError>) -> Result<T, RepositoryError> {
    parse(row).map_err(RepositoryError::Corrupt)
}

/// Reads all rows, or fails.
pub(crate) fn read_all<R, T>(rows: &[R], parse: fn(&R) -> Result<T, BoxError>) -> Result<Vec<T>, RepositoryError> {
    rows.iter().map(|row| read(row, parse)).collect()
}

/// The columns of a song, for `concat!`.
macro_rules! song_columns {
    () => {
        "id, title, hash, uploader, uploaded_at_us, status, failure, stems, provenance, model, result_key, wanted_stems, \
         shown_key, shown_model, stem_names, artist, duration_ms, has_cover, labels"
    };
}
pub(crate) use song_columns;

/// The condition that a song has the label whose key is a parameter, or that the parameter is NULL, for `concat!`.
macro_rules! has_label {
    ($key:literal) => {
        concat!(
            " AND (",
            $key,
            " IS NULL OR EXISTS (SELECT 1 FROM song_labels WHERE label_key = ",
            $key,
            " AND song_id = songs.id))"
        )
    };
}
pub(crate) use has_label;

/// The statement for an order of the list of songs: what an engine's macro makes of the key, the key that searches read, how values
/// are compared with the cursor's, and the same for IDs.
macro_rules! in_order {
    ($sorted:ident, $sort:expr, $descending:expr) => {
        match ($sort, $descending) {
            (SortKey::Added, true) => $sorted!("uploaded_at_us", "title_key", " <= ", " < ", "DESC", " > ", "ASC"),
            (SortKey::Added, false) => $sorted!("uploaded_at_us", "title_key", " >= ", " > ", "ASC", " < ", "DESC"),
            (SortKey::Title, true) => $sorted!("title_key", "title_key", " <= ", " < ", "DESC", " < ", "DESC"),
            (SortKey::Title, false) => $sorted!("title_key", "title_key", " >= ", " > ", "ASC", " > ", "ASC"),
            (SortKey::Artist, true) => $sorted!("artist_key", "artist_key", " <= ", " < ", "DESC", " < ", "DESC"),
            (SortKey::Artist, false) => $sorted!("artist_key", "artist_key", " >= ", " > ", "ASC", " > ", "ASC"),
            (SortKey::Duration, true) => {
                $sorted!("coalesce(duration_ms, -1)", "title_key", " <= ", " < ", "DESC", " < ", "DESC")
            }
            (SortKey::Duration, false) => {
                $sorted!("coalesce(duration_ms, -1)", "title_key", " >= ", " > ", "ASC", " > ", "ASC")
            }
        }
    };
}
pub(crate) use in_order;

/// A row of [`song_columns`].
pub(crate) fn song<R: Columns>(row: &R) -> Result<Song, BoxError> {
    let kind: StatusKind = row.text("status")?.parse()?;
    Ok(Song::from(StoredSong {
        id: row.text("id")?.parse()?,
        title: Title::parse(row.text("title")?, usize::MAX)?,
        hash: hash(row)?,
        uploader: row.maybe_text("uploader")?.map(str::parse).transpose()?,
        uploaded_at: moment(row.number("uploaded_at_us")?)?,
        status: Status::from_stored(kind, row.maybe_text("failure")?),
        target: Target {
            model: row.maybe_text("model")?.map(str::parse).transpose()?,
            stems: names(row.maybe_text("wanted_stems")?)?,
            key: row.text("result_key")?.parse()?,
        },
        stems: stems(row)?,
        facts: SongFacts {
            artist: row.maybe_text("artist")?.map(str::to_owned),
            duration_ms: row.maybe_number("duration_ms")?.map(u64::try_from).transpose()?,
            has_cover: row.maybe_number("has_cover")?.map(|has| has != 0),
        },
        labels: labels(row)?,
    }))
}

/// A row of `labels`.
fn labels<R: Columns>(row: &R) -> Result<Vec<Label>, BoxError> {
    let labels = row.maybe_text("labels")?.unwrap_or_default().lines();
    Ok(labels.map(|label| Title::parse(label, usize::MAX).map(Label::from)).collect::<Result<_, _>>()?)
}

/// A row of `labels, songs`.
pub(crate) fn labelled<R: Columns>(row: &R) -> Result<(Vec<Label>, u64), BoxError> {
    Ok((labels(row)?, u64::try_from(row.number("songs")?)?))
}

/// A row of a song with `place`, a number.
pub(crate) fn song_at_number<R: Columns>(row: &R) -> Result<(Song, Place), BoxError> {
    let song = song(row)?;
    let place = Place { value: PlaceValue::Number(row.number("place")?), id: song.id() };
    Ok((song, place))
}

/// A row of a song with `place`, a text.
pub(crate) fn song_at_text<R: Columns>(row: &R) -> Result<(Song, Place), BoxError> {
    let song = song(row)?;
    let place = Place { value: PlaceValue::Text(row.text("place")?.to_owned()), id: song.id() };
    Ok((song, place))
}

/// A row of `id, title, artist`.
pub(crate) fn texts<R: Columns>(row: &R) -> Result<(String, String, Option<String>), BoxError> {
    let artist = row.maybe_text("artist")?.map(str::to_owned);
    Ok((row.text("id")?.to_owned(), row.text("title")?.to_owned(), artist))
}

/// A row of `stems, provenance, shown_key, shown_model, stem_names`.
pub(crate) fn stems<R: Columns>(row: &R) -> Result<StemsInfo, BoxError> {
    Ok(StemsInfo {
        formats: row.maybe_text("stems")?.map(str::parse).transpose()?.unwrap_or_default(),
        provenance: row.maybe_text("provenance")?.map(serde_json::from_str).transpose()?,
        key: row.maybe_text("shown_key")?.map(str::parse).transpose()?,
        model: row.maybe_text("shown_model")?.map(str::parse).transpose()?,
        names: names(row.maybe_text("stem_names")?)?,
    })
}

/// Names of stems, separated by commas.
fn names(text: Option<&str>) -> Result<Option<Vec<Stem>>, BoxError> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(text.split(',').map(str::parse).collect::<Result<Vec<Stem>, InvalidStem>>()?))
}

/// A row of a result with `hash`.
#[cfg(feature = "postgres")]
pub(crate) fn result<R: Columns>(row: &R) -> Result<(SongHash, StemsInfo), BoxError> {
    Ok((hash(row)?, stems(row)?))
}

/// A song with its other columns.
#[cfg(feature = "postgres")]
pub(crate) struct WholeSong {
    pub(crate) song: Song,
    pub(crate) size_bytes: Option<i64>,
    pub(crate) uploader_address: Option<String>,
    pub(crate) kept_since_us: Option<i64>,
    pub(crate) trashed_at_us: Option<i64>,
    pub(crate) was_waiting: Option<i64>,
}

/// A row of a song with `size_bytes, uploader_address, kept_since_us, trashed_at_us, was_waiting`.
#[cfg(feature = "postgres")]
pub(crate) fn whole_song<R: Columns>(row: &R) -> Result<WholeSong, BoxError> {
    Ok(WholeSong {
        song: song(row)?,
        size_bytes: row.maybe_number("size_bytes")?,
        uploader_address: row.maybe_text("uploader_address")?.map(str::to_owned),
        kept_since_us: row.maybe_number("kept_since_us")?,
        trashed_at_us: row.maybe_number("trashed_at_us")?,
        was_waiting: row.maybe_number("was_waiting")?,
    })
}

/// A row of `digest, expires_at_us`.
#[cfg(feature = "postgres")]
pub(crate) fn invite<R: Columns>(row: &R) -> Result<Invite, BoxError> {
    Ok(Invite {
        digest: SessionDigest::from_bytes(row.bytes("digest")?.try_into()?),
        expires_at: moment(row.number("expires_at_us")?)?,
    })
}

/// A row of `owner, priority`.
pub(crate) fn line<R: Columns>(row: &R) -> Result<JobLine, BoxError> {
    Ok(JobLine {
        owner: row.maybe_text("owner")?.map(str::parse).transpose()?,
        priority: row.number("priority")?.try_into()?,
    })
}

/// A row of `user_id, priority`.
#[cfg(feature = "postgres")]
pub(crate) fn priority<R: Columns>(row: &R) -> Result<(UserId, i32), BoxError> {
    Ok((row.text("user_id")?.parse()?, row.number("priority")?.try_into()?))
}

/// A row with `hash`.
pub(crate) fn hash<R: Columns>(row: &R) -> Result<SongHash, BoxError> {
    Ok(row.text("hash")?.parse()?)
}

/// A row of `number, hash, trace`. A trace that cannot be read is as good as none.
pub(crate) fn pending<R: Columns>(row: &R) -> Result<Pending, BoxError> {
    let trace = row.maybe_text("trace")?.and_then(|trace| trace.parse().ok());
    Ok(Pending { number: row.number("number")?, hash: hash(row)?, trace })
}

/// A row of `status, songs`.
pub(crate) fn counted<R: Columns>(row: &R) -> Result<(StatusKind, u64), BoxError> {
    Ok((row.text("status")?.parse()?, u64::try_from(row.number("songs")?)?))
}

/// A row of `model, songs`.
pub(crate) fn waiting<R: Columns>(row: &R) -> Result<(Option<ModelName>, u64), BoxError> {
    let model = row.maybe_text("model")?.map(str::parse).transpose()?;
    Ok((model, u64::try_from(row.number("songs")?)?))
}

/// A row of `owners, shares, trashed`.
pub(crate) fn census<R: Columns>(row: &R) -> Result<Census, BoxError> {
    let number = |name| Ok::<_, BoxError>(u64::try_from(row.number(name)?)?);
    let (waiting_owners, shares, trashed) = (number("owners")?, number("shares")?, number("trashed")?);
    Ok(Census { waiting_owners, shares, trashed, ..Census::default() })
}

/// A row with `trashed_at_us`.
pub(crate) fn is_trashed<R: Columns>(row: &R) -> Result<bool, BoxError> {
    Ok(row.maybe_number("trashed_at_us")?.is_some())
}

/// A row with `trashed_at_us` of a song in the trash.
pub(crate) fn trashed_at<R: Columns>(row: &R) -> Result<OffsetDateTime, BoxError> {
    moment(row.number("trashed_at_us")?)
}

/// A row with `id` of a song.
pub(crate) fn song_id<R: Columns>(row: &R) -> Result<SongId, BoxError> {
    Ok(row.text("id")?.parse()?)
}

/// A row of a song with `trashed_at_us, was_waiting`.
pub(crate) fn trashed_song<R: Columns>(row: &R) -> Result<TrashedSong, BoxError> {
    Ok(TrashedSong {
        song: song(row)?,
        trashed_at: trashed_at(row)?,
        was_waiting: row.maybe_number("was_waiting")? == Some(1),
    })
}

/// A row of `newest`, a time.
pub(crate) fn newest<R: Columns>(row: &R) -> Result<Option<OffsetDateTime>, BoxError> {
    row.maybe_number("newest")?.map(moment).transpose()
}

/// A row of `uploads_until_us, audio_until_us`.
pub(crate) fn usage<R: Columns>(row: &R) -> Result<Usage, BoxError> {
    let (uploads_until_us, audio_until_us) = (row.number("uploads_until_us")?, row.number("audio_until_us")?);
    Ok(Usage { uploads_until_us, audio_until_us, ..Usage::default() })
}

/// A row of `songs, bytes`.
pub(crate) fn totals<R: Columns>(row: &R) -> Result<(u64, u64), BoxError> {
    Ok((row.number("songs")?.try_into()?, row.number("bytes")?.try_into()?))
}

/// A row of `id, username, password_hash, registered_at_us`.
pub(crate) fn account<R: Columns>(row: &R) -> Result<Account, BoxError> {
    Ok(Account {
        id: row.text("id")?.parse()?,
        username: row.text("username")?.parse()?,
        password_hash: PasswordHash::new(row.text("password_hash")?.to_owned()),
        registered_at: moment(row.number("registered_at_us")?)?,
    })
}

/// A row of `user_id, issuer, subject`.
pub(crate) fn identity<R: Columns>(row: &R) -> Result<(UserId, Identity), BoxError> {
    let identity = Identity { issuer: row.text("issuer")?.to_owned(), subject: row.text("subject")?.to_owned() };
    Ok((row.text("user_id")?.parse()?, identity))
}

/// A row of `digest, user_id, created_at_us, expires_at_us, token_id, token_name`.
pub(crate) fn session<R: Columns>(row: &R) -> Result<Session, BoxError> {
    let token = match row.maybe_text("token_id")? {
        Some(id) => Some(TokenName { id: id.parse()?, name: row.text("token_name")?.to_owned() }),
        None => None,
    };
    Ok(Session {
        digest: SessionDigest::from_bytes(row.bytes("digest")?.try_into()?),
        user: row.text("user_id")?.parse()?,
        created_at: moment(row.number("created_at_us")?)?,
        expires_at: row.maybe_number("expires_at_us")?.map(moment).transpose()?,
        token,
    })
}

/// A row of `token_id, token_name, created_at_us, expires_at_us`.
pub(crate) fn token<R: Columns>(row: &R) -> Result<ApiToken, BoxError> {
    Ok(ApiToken {
        id: row.text("token_id")?.parse()?,
        name: row.text("token_name")?.to_owned(),
        created_at: moment(row.number("created_at_us")?)?,
        expires_at: row.maybe_number("expires_at_us")?.map(moment).transpose()?,
    })
}

/// A row of `id, digest, song_id, created_at_us, expires_at_us, mix`.
pub(crate) fn share<R: Columns>(row: &R) -> Result<ShareLink, BoxError> {
    Ok(ShareLink {
        id: row.text("id")?.parse()?,
        digest: SessionDigest::from_bytes(row.bytes("digest")?.try_into()?),
        song: row.text("song_id")?.parse()?,
        created_at: moment(row.number("created_at_us")?)?,
        expires_at: row.maybe_number("expires_at_us")?.map(moment).transpose()?,
        mix: row.maybe_text("mix")?.map(serde_json::from_str).transpose()?,
    })
}

/// A row of `id, song_id, at_ms, name`.
pub(crate) fn marker<R: Columns>(row: &R) -> Result<(SongId, Marker), BoxError> {
    let (id, at_ms) = (row.text("id")?.parse()?, row.number("at_ms")?.try_into()?);
    let name = Title::parse(row.text("name")?, usize::MAX)?;
    Ok((row.text("song_id")?.parse()?, Marker { id, at_ms, name }))
}

/// A row of `id, owner, uploader, size_bytes, received_bytes, fields, song, expires_at_us`.
pub(crate) fn upload<R: Columns>(row: &R) -> Result<PartialUpload, BoxError> {
    Ok(PartialUpload {
        id: row.text("id")?.parse()?,
        owner: row.maybe_text("owner")?.map(str::parse).transpose()?,
        uploader: row.text("uploader")?.to_owned(),
        size_bytes: row.number("size_bytes")?.try_into()?,
        received_bytes: row.number("received_bytes")?.try_into()?,
        fields: serde_json::from_str(row.text("fields")?)?,
        song: row.maybe_text("song")?.map(str::parse).transpose()?,
        expires_at: moment(row.number("expires_at_us")?)?,
    })
}

/// A row with `id` of an upload.
pub(crate) fn upload_id<R: Columns>(row: &R) -> Result<UploadId, BoxError> {
    Ok(row.text("id")?.parse()?)
}

/// A row of `id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us`.
pub(crate) fn webhook<R: Columns>(row: &R) -> Result<Webhook, BoxError> {
    Ok(Webhook {
        id: row.text("id")?.parse()?,
        user: row.text("user_id")?.parse()?,
        url: Secret::new(row.text("url")?.to_owned()),
        secret: Secret::new(row.text("secret")?.to_owned()),
        events: row.text("events")?.split(',').map(str::parse).collect::<Result<_, _>>()?,
        created_at: moment(row.number("created_at_us")?)?,
        health: Health {
            failing_since: row.maybe_number("failing_since_us")?.map(moment).transpose()?,
            given_up: row.number("given_up")?.try_into()?,
            disabled_at: row.maybe_number("disabled_at_us")?.map(moment).transpose()?,
        },
    })
}

/// A row of `id, webhook_id, event, song, created_at_us, attempts, first_attempt_at_us, attempted_at_us,
/// next_attempt_at_us, status_code, error`.
pub(crate) fn delivery<R: Columns>(row: &R) -> Result<Delivery, BoxError> {
    let maybe_moment = |name| row.maybe_number(name)?.map(moment).transpose();
    let event = row.text("event")?;
    Ok(Delivery {
        id: row.text("id")?.parse()?,
        webhook: row.text("webhook_id")?.parse()?,
        event: if event == WebhookEvent::Ping.name() { WebhookEvent::Ping } else { event.parse()? },
        song: row.maybe_text("song")?.map(serde_json::from_str).transpose()?,
        created_at: moment(row.number("created_at_us")?)?,
        attempts: row.number("attempts")?.try_into()?,
        first_attempt_at: maybe_moment("first_attempt_at_us")?,
        attempted_at: maybe_moment("attempted_at_us")?,
        next_attempt_at: maybe_moment("next_attempt_at_us")?,
        status_code: row.maybe_number("status_code")?.map(u16::try_from).transpose()?,
        error: row.maybe_text("error")?.map(str::to_owned),
    })
}

/// A row of `pending, oldest, disabled`.
pub(crate) fn backlog<R: Columns>(row: &R) -> Result<Backlog, BoxError> {
    let (pending, disabled) = (row.number("pending")?.try_into()?, row.number("disabled")?.try_into()?);
    Ok(Backlog { pending, oldest: row.maybe_number("oldest")?.map(moment).transpose()?, disabled })
}

/// The stored difference of a user's quota.
pub(crate) fn quota(json: Option<&str>) -> Result<QuotaChange, BoxError> {
    Ok(json.map(serde_json::from_str).transpose()?.unwrap_or_default())
}

/// A row of `id, username, registered_at_us, disabled_at_us, administrator_since_us, quota, songs, bytes, sessions, tokens`.
pub(crate) fn user_record<R: Columns>(row: &R) -> Result<UserRecord, BoxError> {
    let (songs, bytes) = totals(row)?;
    Ok(UserRecord {
        id: row.text("id")?.parse()?,
        username: row.text("username")?.parse()?,
        registered_at: moment(row.number("registered_at_us")?)?,
        disabled_at: row.maybe_number("disabled_at_us")?.map(moment).transpose()?,
        is_administrator: row.maybe_number("administrator_since_us")?.is_some(),
        quota: quota(row.maybe_text("quota")?)?,
        songs,
        bytes,
        sessions: row.number("sessions")?.try_into()?,
        tokens: row.number("tokens")?.try_into()?,
        is_linked: row.number("identities")? > 0,
    })
}

/// A row of a song with `size_bytes, username, pending`.
pub(crate) fn song_record<R: Columns>(row: &R) -> Result<SongRecord, BoxError> {
    Ok(SongRecord {
        song: song(row)?,
        uploader: row.maybe_text("username")?.map(str::parse).transpose()?,
        size_bytes: row.maybe_number("size_bytes")?.map(u64::try_from).transpose()?,
        is_pending: row.number("pending")? > 0,
    })
}

/// A row of `at_us, actor, action, subject, address, details`.
pub(crate) fn audit_entry<R: Columns>(row: &R) -> Result<AuditEntry, BoxError> {
    let maybe = |name| row.maybe_text(name).map(|text| text.map(str::to_owned));
    Ok(AuditEntry {
        at: moment(row.number("at_us")?)?,
        actor: row.text("actor")?.to_owned(),
        action: row.text("action")?.to_owned(),
        subject: maybe("subject")?,
        address: maybe("address")?,
        details: maybe("details")?,
    })
}

/// A row of `id, disabled_at_us, administrator_since_us, quota`.
#[cfg(feature = "postgres")]
pub(crate) fn marks<R: Columns>(row: &R) -> Result<Marks, BoxError> {
    Ok(Marks {
        user: row.text("id")?.parse()?,
        disabled_at_us: row.maybe_number("disabled_at_us")?,
        administrator_since_us: row.maybe_number("administrator_since_us")?,
        quota: row.maybe_text("quota")?.map(str::to_owned),
    })
}

/// What operators have changed of a user.
#[cfg(feature = "postgres")]
pub(crate) struct Marks {
    pub(crate) user: UserId,
    pub(crate) disabled_at_us: Option<i64>,
    pub(crate) administrator_since_us: Option<i64>,
    pub(crate) quota: Option<String>,
}
