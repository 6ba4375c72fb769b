//! State shared by servers besides songs: locks, progress reports and deleted songs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{query, query_as, query_scalar};
use time::OffsetDateTime;
use tokio::time::timeout;
use vocalizer_core::ports::{HashLocks, Held, ProgressReport, ProgressStore, RepositoryError, Tombstones};
use vocalizer_core::song::SongHash;

use super::error::repository;
use super::locks::WAIT;
use super::open::PostgresStore;
use crate::sql::rows::{micros, moment};

/// An unchanged progress report is written only if the stored one is this old.
const UNCHANGED_INTERVAL: Duration = Duration::from_secs(5);

/// How long progress reports and deleted songs are remembered.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The name of the sweep lock, in the same table as the locks of hashes.
const SWEEP: &str = "sweep";

#[async_trait]
impl HashLocks for PostgresStore {
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError> {
        let local = timeout(WAIT, self.local_state.local.lock(hash)).await.map_err(|_| busy())??;
        self.local_state.locks.take(hash.to_string(), local, true).await?.ok_or_else(busy)
    }

    async fn renew(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        let name = hash.to_string();
        match self.local_state.locks.term(&name) {
            Some(term) => self.local_state.locks.renew(&name, term).await,
            None => Ok(false),
        }
    }

    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError> {
        let Ok(local) = Arc::clone(&self.local_state.sweeping).try_lock_owned() else { return Ok(None) };
        let held = self.local_state.locks.take(SWEEP.to_owned(), Box::new(local), false).await?;
        if held.is_some() {
            // Left behind by crashed servers.
            let expired = || query("DELETE FROM locks WHERE expires_at <= clock_timestamp() - interval '1 day'");
            self.write(expired).await?;
        }
        Ok(held)
    }
}

#[async_trait]
impl ProgressStore for PostgresStore {
    async fn record_progress(&self, hash: &SongHash, heard: ProgressReport) -> Result<(), RepositoryError> {
        const SQL: &str = "\
            INSERT INTO heard (hash, percent, at_us) VALUES ($1, $2, $3) \
            ON CONFLICT (hash) DO UPDATE SET percent = excluded.percent, at_us = excluded.at_us \
            WHERE heard.percent <> excluded.percent OR heard.at_us <= excluded.at_us - $4";
        let interval_us = i64::try_from(UNCHANGED_INTERVAL.as_micros()).unwrap_or(i64::MAX);
        let statement = || {
            query(SQL).bind(hash.to_string()).bind(i16::from(heard.percent)).bind(micros(heard.at)).bind(interval_us)
        };
        let written = self.write(statement).await?;
        let mut unwritten = self.local_state.unwritten();
        unwritten.retain(|other_hash, other| other_hash != hash && heard.at - other.at < UNCHANGED_INTERVAL);
        if written == 0 {
            unwritten.insert(*hash, heard);
        }
        Ok(())
    }

    async fn progress(&self, hash: &SongHash) -> Result<Option<ProgressReport>, RepositoryError> {
        let row: Option<(i16, i64)> = self
            .attempt(|| async {
                let row = query_as("SELECT percent, at_us FROM heard WHERE hash = $1").bind(hash.to_string());
                row.fetch_optional(&self.pool).await.map_err(repository)
            })
            .await?;
        let Some((percent, at_us)) = row else { return Ok(None) };
        let percent = u8::try_from(percent).map_err(|error| RepositoryError::Corrupt(error.into()))?;
        let at = moment(at_us).map_err(RepositoryError::Corrupt)?;
        let unwritten = self.local_state.unwritten().get(hash).copied();
        Ok(Some(
            unwritten
                .filter(|heard| heard.percent == percent && heard.at > at)
                .unwrap_or(ProgressReport { percent, at }),
        ))
    }

    async fn clear_progress(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM heard WHERE hash = $1").bind(hash.to_string())).await.map(|_| ())
    }

    async fn forget_old_progress(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM heard WHERE at_us <= $1").bind(micros(now - RETENTION))).await.map(|_| ())
    }
}

#[async_trait]
impl Tombstones for PostgresStore {
    async fn record_deletion(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError> {
        const SQL: &str = "\
            WITH forgotten AS (DELETE FROM heard WHERE hash = $1) \
            INSERT INTO buried (hash, at_us) VALUES ($1, $2) \
            ON CONFLICT (hash) DO UPDATE SET at_us = excluded.at_us";
        self.write(|| query(SQL).bind(hash.to_string()).bind(micros(now))).await.map(|_| ())
    }

    async fn was_deleted(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            let there = query_scalar("SELECT EXISTS (SELECT 1 FROM buried WHERE hash = $1)").bind(hash.to_string());
            there.fetch_one(&self.pool).await.map_err(repository)
        })
        .await
    }

    async fn forget_old_deletions(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM buried WHERE at_us <= $1").bind(micros(now - RETENTION))).await.map(|_| ())
    }
}

/// The lock of a hash was not free in time.
fn busy() -> RepositoryError {
    RepositoryError::Unavailable("another server or request is storing or deleting the same file".into())
}
