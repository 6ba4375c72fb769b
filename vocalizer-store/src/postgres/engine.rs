//! What PostgreSQL does differently, for the modules in `sql/engine`.

use std::time::Duration;

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
pub(super) use sqlx::postgres::PgConnection as Connection;
use sqlx::query;
use sqlx::query::Query;
use time::OffsetDateTime;
use vocalizer_core::ports::{Pending, RepositoryError, SortKey, Space};

pub(super) use super::error::repository;
pub(super) use super::open::PostgresStore as Store;
use crate::sql::rows::{self, has_label, in_order, micros, read_all, song_columns};

/// A statement with its arguments.
pub(super) type Statement = Query<'static, Postgres, PgArguments>;

/// Writes something that nothing reads: a reserved key that has already expired, which the next sweep removes.
pub(super) const CHECK: &str = "\
    INSERT INTO attempts (key, count, next_us, forgotten_us) VALUES ('readiness', 0, 0, 0) \
    ON CONFLICT (key) DO UPDATE SET count = 0";

/// Adds a hash to the outbox. An existing entry gets a new number and loses its claim.
pub(super) const ENQUEUE: &str = "\
    INSERT INTO outbox (hash, trace) VALUES ($1, $2) \
    ON CONFLICT (hash) DO UPDATE SET number = DEFAULT, claimed_until_us = NULL, trace = excluded.trace";

/// Returns the oldest songs to delete.
pub(super) const EXPIRED: &str = concat!(
    "\
    SELECT ",
    song_columns!(),
    " FROM songs \
    WHERE coalesce(kept_since_us, uploaded_at_us) < $1 AND status IN ('SPLIT', 'FAILED') \
    AND NOT ($2 AND uploader IS NOT NULL) ORDER BY coalesce(kept_since_us, uploaded_at_us), id LIMIT $3"
);

/// Deletes usage that no limit needs any more.
pub(super) const FORGET_USAGE: &str = "DELETE FROM uploaders WHERE greatest(uploads_until_us, audio_until_us) <= $1";

/// Returns the songs with a hash that are not in the trash, and locks their rows, so that titles cannot change meanwhile.
pub(super) const LOCK_SONGS: &str =
    concat!("SELECT ", song_columns!(), " FROM songs WHERE hash = $1 AND trashed_at_us IS NULL FOR UPDATE");

/// Returns the usage of an uploader. Locks its row, inserting it if it is missing, until the end of the transaction.
pub(super) const LOCK_USAGE: &str = "\
    INSERT INTO uploaders (uploader, uploads_until_us, audio_until_us) VALUES ($1, 0, 0) \
    ON CONFLICT (uploader) DO UPDATE SET uploader = excluded.uploader RETURNING uploads_until_us, audio_until_us";

/// Returns a user and locks its row, which references to it do not wait for.
pub(super) const LOCK_USER: &str = "SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE";

/// Returns the webhooks of a user, which cannot be deleted until the end of the transaction.
pub(super) const LOCK_WEBHOOKS: &str = "\
    SELECT id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us \
    FROM webhooks WHERE user_id = $1 ORDER BY id FOR KEY SHARE";

/// Claims webhooks with due deliveries, without those of disabled users. Skips rows that other servers are claiming.
pub(super) const CLAIM_WEBHOOKS: &str = "\
    WITH free AS MATERIALIZED ( \
        SELECT id FROM webhooks WHERE disabled_at_us IS NULL \
        AND user_id NOT IN (SELECT id FROM users WHERE disabled_at_us IS NOT NULL) \
        AND (claimed_until_us IS NULL OR claimed_until_us <= $2) \
        AND id IN (SELECT webhook_id FROM deliveries WHERE next_attempt_at_us <= $2) \
        ORDER BY claimed_at_us, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED \
    ) \
    UPDATE webhooks SET claimed_until_us = $3, claimed_at_us = $2 FROM free WHERE webhooks.id = free.id \
    RETURNING webhooks.id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us";

/// Returns the time of the database.
pub(super) const NOW_US: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The limit of a list without a limit.
pub(super) const NO_LIMIT: Option<i64> = None;

/// Advances the time by which songs age.
pub(super) const RETENTION_TIME: &str = "\
    INSERT INTO retention (one, time_us) \
    VALUES (1, least($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) \
    ON CONFLICT (one) DO UPDATE SET time_us = least(excluded.time_us, retention.time_us + $2) \
    RETURNING time_us AS newest";

/// Counts the songs of a user, and those in the trash if asked for.
pub(super) const SONGS_OF_USER: &str = "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM songs \
    WHERE uploader = $1 AND ($2 OR trashed_at_us IS NULL)";

/// Counts the songs of an address, and those in the trash if asked for.
pub(super) const SONGS_OF_ADDRESS: &str = "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM songs \
    WHERE uploader_address = $1 AND ($2 OR trashed_at_us IS NULL)";

/// Lists songs in the trash. Each half uses its own range of the index.
pub(super) const TRASH: &str = concat!(
    "\
    (SELECT ",
    song_columns!(),
    ", trashed_at_us, was_waiting FROM songs WHERE uploader IS NULL \
    AND trashed_at_us <= $2 AND (trashed_at_us < $2 OR id > $3) ORDER BY trashed_at_us DESC, id LIMIT $4) \
    UNION ALL \
    (SELECT ",
    song_columns!(),
    ", trashed_at_us, was_waiting FROM songs WHERE uploader = $1 \
    AND trashed_at_us <= $2 AND (trashed_at_us < $2 OR id > $3) ORDER BY trashed_at_us DESC, id LIMIT $4) \
    ORDER BY trashed_at_us DESC, id LIMIT $4"
);

/// Lists songs. Each half uses its own index, and the results are merged without sorting. With a status other indexes
/// apply.
pub(super) fn list(_has_status: bool) -> Statement {
    const SQL: &str = concat!(
        "\
        (SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader IS NULL AND trashed_at_us IS NULL AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        AND ($4 IS NULL OR status = $4) ORDER BY uploaded_at_us DESC, id LIMIT $5) \
        UNION ALL \
        (SELECT ",
        song_columns!(),
        " FROM songs \
        WHERE uploader = $1 AND trashed_at_us IS NULL AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
        AND ($4 IS NULL OR status = $4) ORDER BY uploaded_at_us DESC, id LIMIT $5) \
        ORDER BY uploaded_at_us DESC, id LIMIT $5"
    );
    // Plan for the actual values: a generic plan would sort, because it does not know the small page size.
    query(SQL).persistent(false)
}

/// A sorted list of songs. Each half is a range of one index.
macro_rules! sorted {
    ($key:literal, $words:literal, $from:literal, $behind:literal, $order:literal, $id_behind:literal, $id_order:literal) => {
        concat!(
            "(SELECT ",
            song_columns!(),
            ", ",
            $key,
            " AS place FROM songs WHERE uploader IS NULL AND $2 AND trashed_at_us IS NULL AND ",
            sorted!(filter $key, $words, $from, $behind, $id_behind),
            " ORDER BY place ",
            $order,
            ", id ",
            $id_order,
            " LIMIT $6) UNION ALL (SELECT ",
            song_columns!(),
            ", ",
            $key,
            " AS place FROM songs WHERE uploader = $1 AND trashed_at_us IS NULL AND ",
            sorted!(filter $key, $words, $from, $behind, $id_behind),
            " ORDER BY place ",
            $order,
            ", id ",
            $id_order,
            " LIMIT $6) ORDER BY place ",
            $order,
            ", id ",
            $id_order,
            " LIMIT $6"
        )
    };
    (filter $key:literal, $words:literal, $from:literal, $behind:literal, $id_behind:literal) => {
        concat!(
            $key, $from, "$3 AND (", $key, $behind, "$3 OR id", $id_behind, "$4) AND ($5 IS NULL OR status = $5)",
            " AND strpos(", $words, ", $7) > 0", " AND strpos(", $words, ", $8) > 0", " AND strpos(", $words, ", $9) > 0", " AND strpos(", $words, ", $10) > 0", " AND strpos(", $words, ", $11) > 0", " AND strpos(", $words, ", $12) > 0",
            has_label!("$13")
        )
    };
}

/// Lists songs sorted by a key.
pub(super) fn sorted(sort: SortKey, descending: bool) -> Statement {
    // Plan for the actual values, as for the other lists.
    query(in_order!(sorted, sort, descending)).persistent(false)
}

/// Counts the songs of a sorted list.
pub(super) const COUNT_LISTED: &str = concat!(
    "\
    SELECT (SELECT count(*) FROM songs WHERE uploader IS NULL AND $2 AND trashed_at_us IS NULL \
    AND ($3 IS NULL OR status = $3) AND strpos(title_key, $4) > 0 AND strpos(title_key, $5) > 0 AND strpos(title_key, $6) > 0 \
    AND strpos(title_key, $7) > 0 AND strpos(title_key, $8) > 0 AND strpos(title_key, $9) > 0",
    has_label!("$10"),
    ") \
    + (SELECT count(*) FROM songs WHERE uploader = $1 AND trashed_at_us IS NULL \
    AND ($3 IS NULL OR status = $3) AND strpos(title_key, $4) > 0 AND strpos(title_key, $5) > 0 AND strpos(title_key, $6) > 0 \
    AND strpos(title_key, $7) > 0 AND strpos(title_key, $8) > 0 AND strpos(title_key, $9) > 0",
    has_label!("$10"),
    ")"
);

/// Claims outbox entries. Skips rows that other servers are claiming.
pub(super) async fn claim(
    store: &Store,
    limit: u32,
    lasts: Duration,
    now: OffsetDateTime,
) -> Result<Vec<Pending>, RepositoryError> {
    const SQL: &str = "\
        WITH free AS MATERIALIZED ( \
            SELECT number FROM outbox WHERE claimed_until_us IS NULL OR claimed_until_us <= $2 \
            ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED \
        ) \
        UPDATE outbox SET claimed_until_us = $3 FROM free WHERE outbox.number = free.number \
        RETURNING outbox.number, outbox.hash, outbox.trace";
    store
        .attempt(|| async {
            let rows = query(SQL)
                .bind(i64::from(limit))
                .bind(micros(now))
                .bind(micros(now + lasts))
                .fetch_all(store.write_pool().await)
                .await
                .map_err(repository)?;
            let mut claimed = read_all(&rows, rows::pending)?;
            claimed.sort_by_key(|entry| entry.number);
            Ok(claimed)
        })
        .await
}

pub(super) async fn release(store: &Store, number: i64) -> Result<(), RepositoryError> {
    const SQL: &str = "UPDATE outbox SET claimed_until_us = NULL WHERE number = $1";
    store.write(|| query(SQL).bind(number)).await.map(|_| ())
}

/// Does nothing: a claim is deleted with its outbox entry.
pub(super) fn forget_claim(_: &Store, _: i64) {}

/// The space of the database's machine is unknown.
pub(super) async fn space(_: &Store) -> Result<Option<Space>, RepositoryError> {
    Ok(None)
}
