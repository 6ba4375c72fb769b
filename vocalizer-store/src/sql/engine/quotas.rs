//! Quota usage of uploaders. Compiled once for each engine.

use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::ports::{Charge, RepositoryError};
use vocalizer_core::quota::{Quota, Uploader, Usage};

use super::engine::{self, Connection, Store, repository};
use crate::sql::rows::{self, micros, read};

/// Counts the start of an upload.
pub(super) async fn begin(
    store: &Store,
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
pub(super) async fn charge(step: &mut Connection, charge: &Charge) -> Result<(), RepositoryError> {
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
pub(super) async fn forget(store: &Store, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError> {
    store.write(|| query(engine::FORGET_USAGE).bind(micros(now))).await?;
    if !keep_addresses {
        let forget = "UPDATE songs SET uploader_address = NULL WHERE uploader_address IS NOT NULL";
        store.write(|| query(forget)).await?;
    }
    Ok(())
}

/// Returns the usage. Concurrent uploads cannot both use the same remaining quota until the end of the transaction.
pub(super) async fn usage(step: &mut Connection, uploader: &Uploader, quota: &Quota) -> Result<Usage, RepositoryError> {
    let row = query(engine::LOCK_USAGE).bind(uploader.to_string()).fetch_optional(&mut *step).await;
    let usage = row.map_err(repository)?.map(|row| read(&row, rows::usage)).transpose()?.unwrap_or_default();
    if !quota.has_totals() {
        return Ok(usage);
    }
    let (songs, bytes) = totals(step, uploader, false).await?;
    Ok(Usage { songs, bytes, ..usage })
}

/// Returns the number and the bytes of an uploader's songs, with or without those in the trash.
pub(super) async fn totals(
    connection: &mut Connection,
    uploader: &Uploader,
    with_trash: bool,
) -> Result<(u64, u64), RepositoryError> {
    let totals = match uploader {
        Uploader::User(id) => query(engine::SONGS_OF_USER).bind(id.to_string()),
        Uploader::Address(digest) => query(engine::SONGS_OF_ADDRESS).bind(digest.to_string()),
    };
    let row = totals.bind(with_trash).fetch_one(connection).await.map_err(repository)?;
    read(&row, rows::totals)
}

async fn store_usage(step: &mut Connection, uploader: &Uploader, usage: Usage) -> Result<(), RepositoryError> {
    query(
        "INSERT INTO uploaders (uploader, uploads_until_us, audio_until_us) VALUES ($1, $2, $3) \
         ON CONFLICT (uploader) DO UPDATE SET uploads_until_us = $2, audio_until_us = $3",
    )
    .bind(uploader.to_string())
    .bind(usage.uploads_until_us)
    .bind(usage.audio_until_us)
    .execute(step)
    .await
    .map(|_| ())
    .map_err(repository)
}
