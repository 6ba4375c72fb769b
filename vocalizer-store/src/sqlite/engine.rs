//! What SQLite does differently, for the modules in `sql/engine`.

use std::time::Duration;

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
pub(super) use sqlx::sqlite::SqliteConnection as Connection;
use time::OffsetDateTime;
use vocalizer_core::ports::{Pending, RepositoryError, SongRepository as _, SortKey, Space};

pub(super) use super::error::repository;
pub(super) use super::open::SqliteStore as Store;
use crate::files::disk;
use crate::sql::rows::{has_label, in_order, song_columns};

/// A statement with its arguments.
pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Writes something that nothing reads. Setting this number always writes a page to the log.
pub(super) const CHECK: &str = "PRAGMA user_version = 0";

/// Adds a hash to the outbox. An existing entry gets a new number.
pub(super) const ENQUEUE: &str = "INSERT OR REPLACE INTO outbox (hash, trace) VALUES ($1, $2)";

/// Returns the oldest songs to delete. The plus prevents SQLite from scanning the index of the status.
pub(super) const EXPIRED: &str = concat!(
    "\
    SELECT ",
    song_columns!(),
    " FROM songs \
    WHERE coalesce(kept_since_us, uploaded_at_us) < $1 AND +status IN ('SPLIT', 'FAILED') \
    AND NOT ($2 AND uploader IS NOT NULL) ORDER BY coalesce(kept_since_us, uploaded_at_us), id LIMIT $3"
);

/// Deletes usage that no limit needs any more. With several arguments, max returns the largest one.
pub(super) const FORGET_USAGE: &str = "DELETE FROM uploaders WHERE max(uploads_until_us, audio_until_us) <= $1";

/// Returns the songs with a hash that are not in the trash. There is only one writer, so they need no lock.
pub(super) const LOCK_SONGS: &str =
    concat!("SELECT ", song_columns!(), " FROM songs WHERE hash = $1 AND trashed_at_us IS NULL");

/// Returns the usage of an uploader, if any. There is only one writer, so it needs no lock.
pub(super) const LOCK_USAGE: &str = "SELECT uploads_until_us, audio_until_us FROM uploaders WHERE uploader = $1";

/// Returns a user. There is only one writer, so it needs no lock.
pub(super) const LOCK_USER: &str = "SELECT id FROM users WHERE id = $1";

/// Returns the webhooks of a user. There is only one writer, so they need no lock.
pub(super) const LOCK_WEBHOOKS: &str = "\
    SELECT id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us \
    FROM webhooks WHERE user_id = $1";

/// Claims webhooks with due deliveries, without those of disabled users. A claim that expires later than a new one was made before the clock was set back.
pub(super) const CLAIM_WEBHOOKS: &str = "\
    UPDATE webhooks SET claimed_until_us = $3, claimed_at_us = $2 WHERE id IN ( \
        SELECT id FROM webhooks WHERE disabled_at_us IS NULL \
        AND user_id NOT IN (SELECT id FROM users WHERE disabled_at_us IS NOT NULL) \
        AND (claimed_until_us IS NULL OR claimed_until_us <= $2 OR claimed_until_us > $3) \
        AND id IN (SELECT webhook_id FROM deliveries WHERE next_attempt_at_us <= $2) ORDER BY claimed_at_us, id LIMIT $1 \
    ) RETURNING id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us";

/// Returns the time of the database.
pub(super) const NOW_US: &str = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// The limit of a list without a limit.
pub(super) const NO_LIMIT: Option<i64> = Some(-1);

/// Advances the time by which songs age. With several arguments, min returns the smallest one.
pub(super) const RETENTION_TIME: &str = "\
    INSERT INTO retention (one, time_us) VALUES (1, $1) \
    ON CONFLICT (one) DO UPDATE SET time_us = min($1, time_us + $2) RETURNING time_us AS newest";

/// Counts the songs of a user, and those in the trash if asked for.
pub(super) const SONGS_OF_USER: &str = "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0) AS bytes FROM songs \
    WHERE uploader = $1 AND ($2 OR trashed_at_us IS NULL)";

/// Counts the songs of an address, and those in the trash if asked for.
pub(super) const SONGS_OF_ADDRESS: &str = "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0) AS bytes FROM songs \
    WHERE uploader_address = $1 AND ($2 OR trashed_at_us IS NULL)";

/// Lists songs in the trash. Each half uses its own range of the index, and the results are merged without sorting.
pub(super) const TRASH: &str = concat!(
    "\
    SELECT ",
    song_columns!(),
    ", trashed_at_us, was_waiting FROM songs WHERE uploader IS NULL \
    AND trashed_at_us <= $2 AND (trashed_at_us < $2 OR id > $3) \
    UNION ALL \
    SELECT ",
    song_columns!(),
    ", trashed_at_us, was_waiting FROM songs WHERE uploader = $1 \
    AND trashed_at_us <= $2 AND (trashed_at_us < $2 OR id > $3) \
    ORDER BY trashed_at_us DESC, id LIMIT $4"
);

/// Lists songs. Each half uses its own range of the index, and the results are merged without sorting. With a status
/// another index applies.
pub(super) fn list(has_status: bool) -> Statement {
    const ALL: &str = concat!(
        "\
        SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader IS NULL AND trashed_at_us IS NULL AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        UNION ALL \
        SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader = $1 AND trashed_at_us IS NULL AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        ORDER BY uploaded_at_us DESC, id LIMIT $5"
    );
    const IN_STATUS: &str = concat!(
        "\
        SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader IS NULL AND trashed_at_us IS NULL AND status = $4 AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        UNION ALL \
        SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader = $1 AND trashed_at_us IS NULL AND status = $4 AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        ORDER BY uploaded_at_us DESC, id LIMIT $5"
    );
    sqlx::query(if has_status { IN_STATUS } else { ALL })
}

/// A sorted list of songs. Each half is a range of one index, and the results are merged without sorting.
macro_rules! sorted {
    ($key:literal, $words:literal, $from:literal, $behind:literal, $order:literal, $id_behind:literal, $id_order:literal) => {
        concat!(
            "SELECT ",
            song_columns!(),
            ", ",
            $key,
            " AS place FROM songs WHERE uploader IS NULL AND $2 AND trashed_at_us IS NULL AND ",
            sorted!(filter $key, $words, $from, $behind, $id_behind),
            " UNION ALL SELECT ",
            song_columns!(),
            ", ",
            $key,
            " AS place FROM songs WHERE uploader = $1 AND trashed_at_us IS NULL AND ",
            sorted!(filter $key, $words, $from, $behind, $id_behind),
            " ORDER BY place ",
            $order,
            ", id ",
            $id_order,
            " LIMIT $6"
        )
    };
    (filter $key:literal, $words:literal, $from:literal, $behind:literal, $id_behind:literal) => {
        concat!(
            $key, $from, "$3 AND (", $key, $behind, "$3 OR id", $id_behind, "$4) AND ($5 IS NULL OR status = $5)",
            " AND instr(", $words, ", $7)", " AND instr(", $words, ", $8)", " AND instr(", $words, ", $9)", " AND instr(", $words, ", $10)", " AND instr(", $words, ", $11)", " AND instr(", $words, ", $12)",
            has_label!("$13")
        )
    };
}

/// Lists songs sorted by a key.
pub(super) fn sorted(sort: SortKey, descending: bool) -> Statement {
    sqlx::query(in_order!(sorted, sort, descending))
}

/// Counts the songs of a sorted list. The index of the order has all that is read.
pub(super) const COUNT_LISTED: &str = concat!(
    "\
    SELECT (SELECT count(*) FROM songs WHERE uploader IS NULL AND $2 AND trashed_at_us IS NULL \
    AND ($3 IS NULL OR status = $3) AND instr(title_key, $4) AND instr(title_key, $5) AND instr(title_key, $6) \
    AND instr(title_key, $7) AND instr(title_key, $8) AND instr(title_key, $9)",
    has_label!("$10"),
    ") \
    + (SELECT count(*) FROM songs WHERE uploader = $1 AND trashed_at_us IS NULL \
    AND ($3 IS NULL OR status = $3) AND instr(title_key, $4) AND instr(title_key, $5) AND instr(title_key, $6) \
    AND instr(title_key, $7) AND instr(title_key, $8) AND instr(title_key, $9)",
    has_label!("$10"),
    ")"
);

/// Claims outbox entries in memory, because there is only one process.
pub(super) async fn claim(
    store: &Store,
    limit: u32,
    lasts: Duration,
    now: OffsetDateTime,
) -> Result<Vec<Pending>, RepositoryError> {
    // Read as many more as are claimed, so that enough unclaimed entries remain.
    let taken = u32::try_from(store.claims().len()).unwrap_or(u32::MAX);
    let mut pending = store.pending(limit.saturating_add(taken)).await?;
    let mut claims = store.claims();
    // A claim that expires later than a new one was made before the clock was set back.
    claims.retain(|_, until| *until > now && *until <= now + lasts);
    pending.retain(|entry| !claims.contains_key(&entry.number));
    pending.truncate(limit as usize);
    claims.extend(pending.iter().map(|entry| (entry.number, now + lasts)));
    Ok(pending)
}

pub(super) async fn release(store: &Store, number: i64) -> Result<(), RepositoryError> {
    forget_claim(store, number);
    Ok(())
}

/// Forgets the claim on a deleted outbox entry.
pub(super) fn forget_claim(store: &Store, number: i64) {
    store.claims().remove(&number);
}

pub(super) async fn space(store: &Store) -> Result<Option<Space>, RepositoryError> {
    let path = store.path().to_owned();
    let found = disk::blocking(move || disk::space(&path)).await;
    found.map_err(|error| RepositoryError::Unavailable(error.into()))
}
