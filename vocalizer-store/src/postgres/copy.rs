//! Migrating from SQLite to PostgreSQL.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_as};
use thiserror::Error;
use vocalizer_core::ports::{Cursor, RepositoryError};
use vocalizer_core::song::{SongHash, Status, sort_keys};
use vocalizer_core::trace::TraceContext;

use super::accounts::{insert_account, insert_identity, insert_invite, insert_session};
use super::administration::insert_entry;
use super::error::repository;
use super::labels::insert_labels;
use super::lines::set_priority;
use super::markers::insert_marker;
use super::open::PostgresStore;
use super::result_rows::insert as insert_result;
use super::shares::insert_share;
use super::uploads::insert_upload;
use super::webhooks::{insert_delivery, insert_webhook};
use crate::sql::rows::{Marks, WholeSong};
use crate::sql::rules;
use crate::sqlite::{Snapshot, SqliteStore};

/// Numbers of copied rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Users.
    pub users: u64,
    /// Sessions and tokens.
    pub sessions: u64,
    /// Songs.
    pub songs: u64,
    /// Outbox entries.
    pub outbox_entries: u64,
}

/// An error from copying; nothing was copied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The database is already in use.
    #[error("the PostgreSQL database already has {users} users and {songs} songs; use an empty one")]
    NotEmpty {
        /// Number of users.
        users: u64,
        /// Number of songs.
        songs: u64,
    },
    /// The file could not be read.
    #[error("cannot read the SQLite file")]
    Source(#[source] RepositoryError),
    /// The database could not be written.
    #[error("cannot write to the PostgreSQL database")]
    Target(#[source] RepositoryError),
}

/// Copies users, linked identities, sessions, tokens, invites, priorities, songs, results, labels, share links, markers, resumable uploads, webhooks, the audit log
/// and the outboxes into an empty, migrated database, with their IDs and times, in one transaction. The file does not change. No
/// server should use either of them meanwhile.
///
/// Leases remain in the queue of the file, so `SPLITTING` songs become `UPLOADED`, and every hash with an `UPLOADED`
/// song gets an outbox entry.
///
/// # Errors
///
/// Any [`CopyError`]; nothing was copied then.
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
            copied.users += row_count(insert_account(account).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.marks(&mut place).await.map_err(CopyError::Source)? {
        for Marks { user, disabled_at_us, administrator_since_us, quota } in page {
            let statement =
                query("UPDATE users SET disabled_at_us = $2, administrator_since_us = $3, quota = $4 WHERE id = $1");
            let statement = statement.bind(user.to_string()).bind(disabled_at_us).bind(administrator_since_us);
            row_count(statement.bind(quota).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.identities(&mut place).await.map_err(CopyError::Source)? {
        for (user, identity) in &page {
            row_count(insert_identity(*user, identity).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.audit(&mut place).await.map_err(CopyError::Source)? {
        for entry in &page {
            row_count(insert_entry(entry).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.sessions(&mut place).await.map_err(CopyError::Source)? {
        for session in &page {
            copied.sessions += row_count(insert_session(session).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.invites(&mut place).await.map_err(CopyError::Source)? {
        for invite in &page {
            row_count(insert_invite(invite).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.priorities(&mut place).await.map_err(CopyError::Source)? {
        for &(user, priority) in &page {
            row_count(set_priority(user, priority).execute(&mut *step).await)?;
        }
    }
    // The outbox first, to keep its order.
    let mut place = Snapshot::START;
    while let Some(page) = from.outbox(&mut place).await.map_err(CopyError::Source)? {
        for entry in &page {
            copied.outbox_entries += enqueue(&mut step, &entry.hash, entry.trace).await?;
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
            for statement in insert_labels(song) {
                row_count(statement.execute(&mut *step).await)?;
            }
            if song.status() == &Status::Uploaded {
                copied.outbox_entries += enqueue(&mut step, &song.target().key, None).await?;
            }
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.results(&mut place).await.map_err(CopyError::Source)? {
        for (hash, result) in &page {
            row_count(insert_result(hash, result).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.shares(&mut place).await.map_err(CopyError::Source)? {
        for link in &page {
            row_count(insert_share(link).map_err(CopyError::Target)?.execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.markers(&mut place).await.map_err(CopyError::Source)? {
        for (song, marker) in &page {
            row_count(insert_marker(*song, marker).map_err(CopyError::Target)?.execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.uploads(&mut place).await.map_err(CopyError::Source)? {
        for upload in &page {
            row_count(insert_upload(upload).map_err(CopyError::Target)?.execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.webhooks(&mut place).await.map_err(CopyError::Source)? {
        for webhook in &page {
            row_count(insert_webhook(webhook).execute(&mut *step).await)?;
        }
    }
    let mut place = Snapshot::START;
    while let Some(page) = from.deliveries(&mut place).await.map_err(CopyError::Source)? {
        for delivery in &page {
            row_count(insert_delivery(delivery).map_err(CopyError::Target)?.execute(&mut *step).await)?;
        }
    }
    row_count(query("UPDATE installation SET id = $1").bind(installation).execute(&mut *step).await)?;
    to.commit(step).await.map_err(CopyError::Target)?;
    Ok(copied)
}

/// Locks the tables and fails if they are not empty.
async fn check_empty(step: &mut PgConnection) -> Result<(), CopyError> {
    row_count(query("LOCK TABLE users, songs IN EXCLUSIVE MODE").execute(&mut *step).await)?;
    let counted = query_as("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM songs)").fetch_one(step).await;
    let (users, songs): (i64, i64) = counted.map_err(repository).map_err(CopyError::Target)?;
    match (users.unsigned_abs(), songs.unsigned_abs()) {
        (0, 0) => Ok(()),
        (users, songs) => Err(CopyError::NotEmpty { users, songs }),
    }
}

async fn insert(step: &mut PgConnection, whole: &WholeSong) -> Result<u64, CopyError> {
    let WholeSong { song, size_bytes, uploader_address, kept_since_us, trashed_at_us, was_waiting } = whole;
    let (title_key, artist_key) = sort_keys(song.title().as_str(), song.facts().artist.as_deref());
    let statement = query(
        "INSERT INTO songs (id, title, hash, uploader, uploaded_at_us, status, failure, \
         size_bytes, uploader_address, kept_since_us, stems, provenance, model, result_key, wanted_stems, shown_key, \
         shown_model, stem_names, trashed_at_us, was_waiting, artist, duration_ms, has_cover, title_key, artist_key, labels) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26)",
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
    .bind(kept_since_us)
    .bind(song.stems().formats.name())
    .bind(rules::provenance(song.stems()))
    .bind(song.target().model.map(|model| model.to_string()))
    .bind(song.target().key.to_string())
    .bind(rules::stems(song.target().stems.as_deref()))
    .bind(song.stems().key.map(|key| key.to_string()))
    .bind(song.stems().model.map(|model| model.to_string()))
    .bind(rules::stems(song.stems().names.as_deref()))
    .bind(trashed_at_us)
    .bind(was_waiting)
    .bind(song.facts().artist.clone())
    .bind(rules::duration_ms(song.facts()))
    .bind(song.facts().has_cover.map(i64::from))
    .bind(title_key)
    .bind(artist_key)
    .bind(rules::labels(song));
    row_count(statement.execute(step).await)
}

async fn enqueue(step: &mut PgConnection, hash: &SongHash, trace: Option<TraceContext>) -> Result<u64, CopyError> {
    let statement = query("INSERT INTO outbox (hash, trace) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING");
    let statement = statement.bind(hash.to_string()).bind(trace.map(|trace| trace.to_string()));
    row_count(statement.execute(step).await)
}

fn row_count(done: Result<sqlx::postgres::PgQueryResult, sqlx::Error>) -> Result<u64, CopyError> {
    done.map(|done| done.rows_affected()).map_err(repository).map_err(CopyError::Target)
}
