//! Quota usage of uploaders.

use sqlx::postgres::PgConnection;
use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::ports::{Charge, RepositoryError};
use vocalizer_core::quota::{Quota, Uploader, Usage};

use super::error::repository;
use super::open::PostgresStore;
use crate::sql::rows::{self, micros, read};

/// Counts the start of an upload.
pub(super) async fn begin(
    store: &PostgresStore,
    uploader: &Uploader,
    quota: &Quota,
    now: OffsetDateTime,
) -> Result<(), RepositoryError> {
    store
        .attempt(|| async {
            let mut step = store.begin().await?;
            let before = usage(&mut step, uploader, quota).await?;
            let after = quota.begin(before, micros(now)).map_err(RepositoryError::Exceeded)?;
            if after == before {
                return Ok(());
            }
            store_usage(&mut step, uploader, after).await?;
            store.commit(step).await
        })
        .await
}

/// Counts a song in the transaction that stores it.
pub(super) async fn charge(step: &mut PgConnection, charge: &Charge) -> Result<(), RepositoryError> {
    let &Charge { uploader: Some(uploader), quota, weight, now } = charge else { return Ok(()) };
    if quota.is_unlimited() {
        return Ok(());
    }
    let before = usage(step, &uploader, &quota).await?;
    let after = quota.admit(before, weight, micros(now)).map_err(RepositoryError::Exceeded)?;
    store_usage(step, &uploader, after).await
}

/// Deletes usage that no limit needs any more.
pub(super) async fn forget(
    store: &PostgresStore,
    now: OffsetDateTime,
    keep_addresses: bool,
) -> Result<(), RepositoryError> {
    const EMPTY: &str = "DELETE FROM uploaders WHERE greatest(uploads_until_us, audio_until_us) <= $1";
    store.write(|| query(EMPTY).bind(micros(now))).await?;
    if !keep_addresses {
        let forget = "UPDATE songs SET uploader_address = NULL WHERE uploader_address IS NOT NULL";
        store.write(|| query(forget)).await?;
    }
    Ok(())
}

/// Returns the usage. Locks the uploader's row, inserting it if it is missing, until the end of the transaction:
/// concurrent uploads cannot both use the same remaining quota.
async fn usage(step: &mut PgConnection, uploader: &Uploader, quota: &Quota) -> Result<Usage, RepositoryError> {
    const LOCK: &str = "\
        INSERT INTO uploaders (uploader, uploads_until_us, audio_until_us) VALUES ($1, 0, 0) \
        ON CONFLICT (uploader) DO UPDATE SET uploader = excluded.uploader RETURNING uploads_until_us, audio_until_us";
    const OF_USER: &str =
        "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM songs WHERE uploader = $1";
    const OF_ADDRESS: &str = "\
        SELECT count(*) AS songs, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM songs WHERE uploader_address = $1";
    let row = query(LOCK).bind(uploader.to_string()).fetch_one(&mut *step).await.map_err(repository)?;
    let usage = read(&row, rows::usage)?;
    if !quota.has_totals() {
        return Ok(usage);
    }
    let totals = match uploader {
        Uploader::User(id) => query(OF_USER).bind(id.to_string()),
        Uploader::Address(digest) => query(OF_ADDRESS).bind(digest.to_string()),
    };
    let (songs, bytes) = read(&totals.fetch_one(step).await.map_err(repository)?, rows::totals)?;
    Ok(Usage { songs, bytes, ..usage })
}

async fn store_usage(step: &mut PgConnection, uploader: &Uploader, usage: Usage) -> Result<(), RepositoryError> {
    query("UPDATE uploaders SET uploads_until_us = $2, audio_until_us = $3 WHERE uploader = $1")
        .bind(uploader.to_string())
        .bind(usage.uploads_until_us)
        .bind(usage.audio_until_us)
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
