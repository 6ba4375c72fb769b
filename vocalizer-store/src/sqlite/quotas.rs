//! Quota usage of uploaders.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use vocalizer_core::ports::{Charge, RepositoryError};
use vocalizer_core::quota::{Quota, Uploader, Usage};

use super::error::repository;
use super::open::SqliteStore;
use crate::sql::rows::{self, micros, read};

/// Counts the start of an upload.
pub(super) async fn begin(
    store: &SqliteStore,
    uploader: &Uploader,
    quota: &Quota,
    now: OffsetDateTime,
) -> Result<(), RepositoryError> {
    let mut step = store.write().await?;
    let before = usage(&mut step, uploader, quota).await?;
    let after = quota.begin(before, micros(now)).map_err(RepositoryError::Exceeded)?;
    if after == before {
        return Ok(());
    }
    store_usage(&mut step, uploader, after).await?;
    step.commit().await
}

/// Counts a song in the transaction that stores it. There is only one writer.
pub(super) async fn charge(step: &mut SqliteConnection, charge: &Charge) -> Result<(), RepositoryError> {
    let &Charge { uploader: Some(uploader), quota, weight, now } = charge else { return Ok(()) };
    if quota.is_unlimited() {
        return Ok(());
    }
    let before = usage(step, &uploader, &quota).await?;
    let after = quota.admit(before, weight, micros(now)).map_err(RepositoryError::Exceeded)?;
    if after.audio_until_us == before.audio_until_us {
        return Ok(());
    }
    store_usage(step, &uploader, after).await
}

/// Deletes usage that no limit needs any more.
pub(super) async fn forget(
    store: &SqliteStore,
    now: OffsetDateTime,
    keep_addresses: bool,
) -> Result<(), RepositoryError> {
    let mut step = store.write().await?;
    query("DELETE FROM uploaders WHERE max(uploads_until_us, audio_until_us) <= ?")
        .bind(micros(now))
        .execute(&mut *step)
        .await
        .map_err(repository)?;
    if !keep_addresses {
        query("UPDATE songs SET uploader_address = NULL WHERE uploader_address IS NOT NULL")
            .execute(&mut *step)
            .await
            .map_err(repository)?;
    }
    step.commit().await
}

async fn usage(step: &mut SqliteConnection, uploader: &Uploader, quota: &Quota) -> Result<Usage, RepositoryError> {
    const OF_USER: &str =
        "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0) AS bytes FROM songs WHERE uploader = ?";
    const OF_ADDRESS: &str =
        "SELECT count(*) AS songs, coalesce(sum(size_bytes), 0) AS bytes FROM songs WHERE uploader_address = ?";
    let row = query("SELECT uploads_until_us, audio_until_us FROM uploaders WHERE uploader = ?")
        .bind(uploader.to_string())
        .fetch_optional(&mut *step)
        .await
        .map_err(repository)?;
    let usage = row.as_ref().map(|row| read(row, rows::usage)).transpose()?.unwrap_or_default();
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

async fn store_usage(step: &mut SqliteConnection, uploader: &Uploader, usage: Usage) -> Result<(), RepositoryError> {
    query(
        "INSERT INTO uploaders (uploader, uploads_until_us, audio_until_us) VALUES (?1, ?2, ?3) \
         ON CONFLICT (uploader) DO UPDATE SET uploads_until_us = ?2, audio_until_us = ?3",
    )
    .bind(uploader.to_string())
    .bind(usage.uploads_until_us)
    .bind(usage.audio_until_us)
    .execute(step)
    .await
    .map(|_| ())
    .map_err(repository)
}
