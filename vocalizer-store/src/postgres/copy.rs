//! Moving from a SQLite file to PostgreSQL.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_as};
use thiserror::Error;
use vocalizer_core::ports::{Cursor, RepositoryError};
use vocalizer_core::song::{SongHash, Status};

use super::accounts::{inserted, invited, opened};
use super::error::repository;
use super::open::PostgresStore;
use crate::sql::rows::WholeSong;
use crate::sqlite::{Snapshot, SqliteStore};

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Users.
    pub users: u64,
    /// Sessions and tokens.
    pub sessions: u64,
    /// Songs.
    pub songs: u64,
    /// Hashes that are asked to be split.
    pub wishes: u64,
}

/// Why nothing was copied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Somebody uses the database already.
    #[error("the PostgreSQL database holds {users} users and {songs} songs already; copy into an empty one")]
    NotEmpty {
        /// How many users there are.
        users: u64,
        /// How many songs there are.
        songs: u64,
    },
    /// The file could not be read.
    #[error("the SQLite file could not be read")]
    Source(#[source] RepositoryError),
    /// The database could not be written.
    #[error("the PostgreSQL database could not be written")]
    Target(#[source] RepositoryError),
}

/// Copies users, sessions, tokens, invites, songs and the outbox into an empty database that is up to date, with their identifiers
/// and times: all of it or nothing. The file stays as it is; no server should be at either of them.
///
/// Leases stay behind in the queue of the file, so songs that are `SPLITTING` become `UPLOADED`, and every hash that has
/// an `UPLOADED` song is asked to be split.
///
/// # Errors
///
/// Every [`CopyError`]; nothing was copied then.
///
/// # Example
///
/// ```no_run
/// use std::path::Path;
///
/// use vocalizer_core::secret::Secret;
/// use vocalizer_store::postgres::{PostgresSettings, PostgresStore, copy_from_sqlite};
/// use vocalizer_store::sqlite::SqliteStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let from = SqliteStore::open(Path::new("/var/lib/vocalizer/vocalizer.sqlite")).await?;
/// let url = Secret::new("postgres://vocalizer@db.example.org/vocalizer".to_owned());
/// let to = PostgresStore::open(&url, PostgresSettings::default()).await?;
/// let copied = copy_from_sqlite(&from, &to).await?;
/// println!("{} songs of {} users", copied.songs, copied.users);
/// # Ok(())
/// # }
/// ```
pub async fn copy_from_sqlite(from: &SqliteStore, to: &PostgresStore) -> Result<Copied, CopyError> {
    let installation = from.installation().await.map_err(CopyError::Source)?;
    let mut from = from.snapshot().await.map_err(CopyError::Source)?;
    let mut step = to.begin().await.map_err(CopyError::Target)?;
    check_empty(&mut step).await?;
    let mut copied = Copied::default();

    let mut place = Snapshot::START;
    while let Some(page) = from.accounts(&mut place).await.map_err(CopyError::Source)? {
        for account in &page {
            copied.users += written(inserted(account).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.sessions(&mut place).await.map_err(CopyError::Source)? {
        for session in &page {
            copied.sessions += written(opened(session).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.invites(&mut place).await.map_err(CopyError::Source)? {
        for invite in &page {
            written(invited(invite).execute(&mut *step).await)?;
        }
    }
    // Wishes first, so that they keep their order.
    let mut place = Snapshot::START;
    while let Some(page) = from.wishes(&mut place).await.map_err(CopyError::Source)? {
        for wish in &page {
            copied.wishes += ask(&mut step, &wish.hash).await?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.songs(&mut place).await.map_err(CopyError::Source)? {
        for mut whole in page {
            let song = &mut whole.song;
            if song.status() == &Status::Splitting {
                song.hand_back().map_err(|error| CopyError::Source(RepositoryError::Corrupt(error.into())))?;
            }
            copied.songs += insert(&mut step, &whole).await?;
            let song = &whole.song;
            if song.status() == &Status::Uploaded {
                copied.wishes += ask(&mut step, song.hash()).await?;
            }
        }
    }
    written(query("UPDATE installation SET id = $1").bind(installation).execute(&mut *step).await)?;
    to.commit(step).await.map_err(CopyError::Target)?;
    Ok(copied)
}

/// Keeps others out, and says whether somebody was here.
async fn check_empty(step: &mut PgConnection) -> Result<(), CopyError> {
    written(query("LOCK TABLE users, songs IN EXCLUSIVE MODE").execute(&mut *step).await)?;
    let counted = query_as("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM songs)").fetch_one(step).await;
    let (users, songs): (i64, i64) = counted.map_err(repository).map_err(CopyError::Target)?;
    match (users.unsigned_abs(), songs.unsigned_abs()) {
        (0, 0) => Ok(()),
        (users, songs) => Err(CopyError::NotEmpty { users, songs }),
    }
}

async fn insert(step: &mut PgConnection, whole: &WholeSong) -> Result<u64, CopyError> {
    let WholeSong { song, size_bytes, uploader_address, kept_since_us } = whole;
    let statement = query(
        "INSERT INTO songs (id, title, hash, uploader, uploaded_at_us, status, failure, \
         size_bytes, uploader_address, kept_since_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(song.id().to_string())
    .bind(song.title().as_str())
    .bind(song.hash().to_string())
    .bind(song.uploader().map(|user| user.to_string()))
    .bind(Cursor::of(song).uploaded_at_us)
    .bind(song.status().kind().name())
    .bind(song.status().failure().map(|reason| reason.as_str()))
    .bind(size_bytes)
    .bind(uploader_address)
    .bind(kept_since_us);
    written(statement.execute(step).await)
}

async fn ask(step: &mut PgConnection, hash: &SongHash) -> Result<u64, CopyError> {
    let statement = query("INSERT INTO outbox (hash) VALUES ($1) ON CONFLICT (hash) DO NOTHING").bind(hash.to_string());
    written(statement.execute(step).await)
}

fn written(done: Result<sqlx::postgres::PgQueryResult, sqlx::Error>) -> Result<u64, CopyError> {
    done.map(|done| done.rows_affected()).map_err(repository).map_err(CopyError::Target)
}
