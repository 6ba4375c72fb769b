//! Rows to values and back.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;
use vocalizer_core::account::{Account, ApiToken, PasswordHash, Session, SessionDigest, TokenName};
use vocalizer_core::ports::{BoxError, RepositoryError};
use vocalizer_core::song::{Song, SongHash, Status, StatusKind, StoredSong, Title};

/// A moment as it is kept.
pub(super) fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// Reads a row, or says that nobody can.
pub(super) fn read<T>(row: &SqliteRow, as_what: fn(&SqliteRow) -> Result<T, BoxError>) -> Result<T, RepositoryError> {
    as_what(row).map_err(RepositoryError::Corrupt)
}

/// Reads all rows, or none.
pub(super) fn read_all<T>(
    rows: &[SqliteRow],
    as_what: fn(&SqliteRow) -> Result<T, BoxError>,
) -> Result<Vec<T>, RepositoryError> {
    rows.iter().map(|row| read(row, as_what)).collect()
}

fn moment(micros: i64) -> Result<OffsetDateTime, BoxError> {
    Ok(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)?)
}

/// A row of `id, title, hash, uploader, uploaded_at_us, status, failure`.
pub(super) fn song(row: &SqliteRow) -> Result<Song, BoxError> {
    let kind: StatusKind = row.try_get::<&str, _>("status")?.parse()?;
    Ok(Song::from(StoredSong {
        id: row.try_get::<&str, _>("id")?.parse()?,
        title: Title::parse(row.try_get("title")?, usize::MAX)?,
        hash: hash(row)?,
        uploader: row.try_get::<Option<&str>, _>("uploader")?.map(str::parse).transpose()?,
        uploaded_at: moment(row.try_get("uploaded_at_us")?)?,
        status: Status::from_stored(kind, row.try_get("failure")?),
    }))
}

/// A row with `hash`.
pub(super) fn hash(row: &SqliteRow) -> Result<SongHash, BoxError> {
    Ok(row.try_get::<&str, _>("hash")?.parse()?)
}

/// A row of `id, username, password_hash, registered_at_us`.
pub(super) fn account(row: &SqliteRow) -> Result<Account, BoxError> {
    Ok(Account {
        id: row.try_get::<&str, _>("id")?.parse()?,
        username: row.try_get::<&str, _>("username")?.parse()?,
        password_hash: PasswordHash::new(row.try_get("password_hash")?),
        registered_at: moment(row.try_get("registered_at_us")?)?,
    })
}

/// A row of `digest, user_id, created_at_us, expires_at_us, token_id, token_name`.
pub(super) fn session(row: &SqliteRow) -> Result<Session, BoxError> {
    let token = match row.try_get::<Option<&str>, _>("token_id")? {
        Some(id) => Some(TokenName { id: id.parse()?, name: row.try_get("token_name")? }),
        None => None,
    };
    Ok(Session {
        digest: SessionDigest::from_bytes(row.try_get::<&[u8], _>("digest")?.try_into()?),
        user: row.try_get::<&str, _>("user_id")?.parse()?,
        created_at: moment(row.try_get("created_at_us")?)?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at_us")?.map(moment).transpose()?,
        token,
    })
}

/// A row of `token_id, token_name, created_at_us, expires_at_us`.
pub(super) fn token(row: &SqliteRow) -> Result<ApiToken, BoxError> {
    Ok(ApiToken {
        id: row.try_get::<&str, _>("token_id")?.parse()?,
        name: row.try_get("token_name")?,
        created_at: moment(row.try_get("created_at_us")?)?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at_us")?.map(moment).transpose()?,
    })
}
