//! Songs and the outbox.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::dedupe::{Advance, UploadPlan};
use vocalizer_core::ports::{
    Charge, Cursor, Expiry, Pending, Removed, RepositoryError, SongCounts, SongQuery, SongRepository, Space,
};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{Song, SongHash, SongId, Status, StatusKind, StoredSong, Title};

use super::error::repository;
use super::open::SqliteStore;
use super::quotas;
use crate::files::disk::{blocking, space};
use crate::sql::rows::{self, micros, read, read_all};
use crate::sql::rules::{self, apply_all, is_same};

#[async_trait]
impl SongRepository for SqliteStore {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError> {
        let mut step = self.write().await?;
        if let Some(known) = find(&mut step, song.id()).await? {
            return if is_same(&known, song) { Ok(known) } else { Err(RepositoryError::Conflict) };
        }
        if song.status() != &Status::Uploaded {
            return Err(RepositoryError::Conflict);
        }
        quotas::charge(&mut step, charge).await?;
        let (song, plan) = settle(&mut step, song.clone()).await?;
        query(
            "INSERT INTO songs \
             (id, title, hash, uploader, uploaded_at_us, status, size_bytes, uploader_address, kept_since_us) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT time_us FROM retention WHERE time_us > ?5))",
        )
        .bind(song.id().to_string())
        .bind(song.title().as_str())
        .bind(song.hash().to_string())
        .bind(song.uploader().map(|user| user.to_string()))
        .bind(Cursor::of(&song).uploaded_at_us)
        .bind(song.status().kind().name())
        .bind(rules::bytes(charge.weight.size_bytes))
        .bind(rules::kept_address(charge))
        .execute(&mut *step)
        .await
        .map_err(repository)?;
        enqueue(&mut step, plan, song.hash()).await?;
        let stored = find(&mut step, song.id()).await?;
        step.commit().await?;
        stored.ok_or(RepositoryError::Conflict)
    }

    async fn begin_upload(
        &self,
        uploader: &Uploader,
        quota: &Quota,
        now: OffsetDateTime,
    ) -> Result<(), RepositoryError> {
        quotas::begin(self, uploader, quota, now).await
    }

    async fn forget_uploaders(&self, now: OffsetDateTime, keep_addresses: bool) -> Result<(), RepositoryError> {
        quotas::forget(self, now, keep_addresses).await
    }

    async fn retention_time(&self, now: OffsetDateTime, most: Duration) -> Result<OffsetDateTime, RepositoryError> {
        // With several arguments, min returns the smallest one.
        const SQL: &str = "\
            INSERT INTO retention (one, time_us) VALUES (1, ?1) \
            ON CONFLICT (one) DO UPDATE SET time_us = min(?1, time_us + ?2) RETURNING time_us AS newest";
        let mut step = self.write().await?;
        let row = query(SQL).bind(micros(now)).bind(rules::span(most)).fetch_one(&mut *step).await;
        let time = read(&row.map_err(repository)?, rows::newest)?;
        step.commit().await?;
        Ok(time.unwrap_or(now))
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError> {
        // The plus prevents SQLite from scanning the index of the status.
        const SQL: &str = "\
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE coalesce(kept_since_us, uploaded_at_us) < ?1 AND +status IN ('SPLIT', 'FAILED') \
            AND NOT (?2 AND uploader IS NOT NULL) ORDER BY coalesce(kept_since_us, uploaded_at_us), id LIMIT ?3";
        let rows = query(SQL)
            .bind(micros(expiry.before))
            .bind(expiry.anonymous_only)
            .bind(limit)
            .fetch_all(self.read())
            .await
            .map_err(repository)?;
        read_all(&rows, rows::song)
    }

    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        let mut step = self.write().await?;
        let Some(mut song) = find(&mut step, id).await? else { return Ok(None) };
        song.retry().map_err(|_| RepositoryError::Conflict)?;
        let (song, plan) = settle(&mut step, song).await?;
        put_status(&mut step, &song).await?;
        enqueue(&mut step, plan, song.hash()).await?;
        step.commit().await?;
        Ok(Some(song))
    }

    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError> {
        let mut step = self.write().await?;
        let mut changed = Vec::new();
        for mut song in with_hash(&mut step, hash).await? {
            let transitions = advance.transitions(song.status());
            if !transitions.is_empty() {
                apply_all(&mut song, transitions)?;
                put_status(&mut step, &song).await?;
                changed.push(song);
            }
        }
        if matches!(advance, Advance::Finish | Advance::Fail(_)) {
            dequeue(&mut step, hash).await?;
        }
        step.commit().await?;
        Ok(changed)
    }

    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError> {
        let mut step = self.write().await?;
        query("UPDATE songs SET title = ? WHERE id = ?")
            .bind(title.as_str())
            .bind(id.to_string())
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        let renamed = find(&mut step, id).await?;
        step.commit().await?;
        Ok(renamed)
    }

    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        find(&mut *self.read().acquire().await.map_err(repository)?, id).await
    }

    async fn list(&self, asked: &SongQuery) -> Result<Vec<Song>, RepositoryError> {
        // Each half uses its own range of the index, and the results are merged without sorting.
        const ALL: &str = "\
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader IS NULL AND uploaded_at_us <= ?2 AND (uploaded_at_us < ?2 OR id > ?3) \
            UNION ALL \
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader = ?1 AND uploaded_at_us <= ?2 AND (uploaded_at_us < ?2 OR id > ?3) \
            ORDER BY uploaded_at_us DESC, id LIMIT ?5";
        // A separate statement, because it uses another index.
        const IN_STATUS: &str = "\
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader IS NULL AND status = ?4 AND uploaded_at_us <= ?2 AND (uploaded_at_us < ?2 OR id > ?3) \
            UNION ALL \
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader = ?1 AND status = ?4 AND uploaded_at_us <= ?2 AND (uploaded_at_us < ?2 OR id > ?3) \
            ORDER BY uploaded_at_us DESC, id LIMIT ?5";
        let (before_us, after_id) = match asked.after {
            Some(Cursor { uploaded_at_us, id }) => (uploaded_at_us, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let rows = query(if asked.status.is_some() { IN_STATUS } else { ALL })
            .bind(asked.viewer.user().map(|user| user.to_string()))
            .bind(before_us)
            .bind(after_id)
            .bind(asked.status.map(StatusKind::name))
            // -1 means no limit in SQLite.
            .bind(asked.limit.map_or(-1, i64::from))
            .fetch_all(self.read())
            .await
            .map_err(repository)?;
        read_all(&rows, rows::song)
    }

    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        with_hash(&mut *self.read().acquire().await.map_err(repository)?, hash).await
    }

    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError> {
        // Row by row, because a row takes much more memory than its hash, and there may be one per song.
        let mut rows = query("SELECT DISTINCT hash FROM songs WHERE status = ?").bind(status.name()).fetch(self.read());
        let mut hashes = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(repository)? {
            hashes.push(read(&row, rows::hash)?);
        }
        Ok(hashes)
    }

    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError> {
        let mut step = self.write().await?;
        let Some(song) = find(&mut step, id).await? else { return Ok(None) };
        query("DELETE FROM songs WHERE id = ?").bind(id.to_string()).execute(&mut *step).await.map_err(repository)?;
        let others: i64 = query_scalar("SELECT count(*) FROM songs WHERE hash = ?")
            .bind(song.hash().to_string())
            .fetch_one(&mut *step)
            .await
            .map_err(repository)?;
        if others == 0 {
            dequeue(&mut step, song.hash()).await?;
        }
        step.commit().await?;
        Ok(Some(Removed { song, others_with_hash: others.unsigned_abs() }))
    }

    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        query("INSERT INTO outbox (hash) VALUES (?) ON CONFLICT (hash) DO NOTHING")
            .bind(hash.to_string())
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError> {
        let rows = query("SELECT number, hash FROM outbox ORDER BY number LIMIT ?")
            .bind(limit)
            .fetch_all(self.read())
            .await
            .map_err(repository)?;
        read_all(&rows, rows::pending)
    }

    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError> {
        // Read as many more as are claimed, so that enough unclaimed entries remain.
        let taken = u32::try_from(self.claims().len()).unwrap_or(u32::MAX);
        let mut pending = self.pending(limit.saturating_add(taken)).await?;
        let mut claims = self.claims();
        // A claim that expires later than a new one was made before the clock was set back.
        claims.retain(|_, until| *until > now && *until <= now + lasts);
        pending.retain(|entry| !claims.contains_key(&entry.number));
        pending.truncate(limit as usize);
        claims.extend(pending.iter().map(|entry| (entry.number, now + lasts)));
        Ok(pending)
    }

    async fn release(&self, number: i64) -> Result<(), RepositoryError> {
        self.claims().remove(&number);
        Ok(())
    }

    async fn published(&self, number: i64) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        query("DELETE FROM outbox WHERE number = ?").bind(number).execute(&mut *step).await.map_err(repository)?;
        step.commit().await?;
        self.claims().remove(&number);
        Ok(())
    }

    async fn count(&self) -> Result<SongCounts, RepositoryError> {
        let rows = query("SELECT status, count(*) AS songs FROM songs GROUP BY status")
            .fetch_all(self.read())
            .await
            .map_err(repository)?;
        Ok(rules::counts(read_all(&rows, rows::counted)?))
    }

    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError> {
        let row = query("SELECT max(uploaded_at_us) AS newest FROM songs").fetch_one(self.read()).await;
        read(&row.map_err(repository)?, rows::newest)
    }

    async fn check(&self) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        // Nothing reads this number, but setting it always writes a page to the log.
        query("PRAGMA user_version = 0").execute(&mut *step).await.map_err(repository)?;
        step.commit().await
    }

    async fn space(&self) -> Result<Option<Space>, RepositoryError> {
        let path = self.path().to_owned();
        let found = blocking(move || space(&path)).await;
        found.map_err(|error| RepositoryError::Unavailable(error.into()))
    }
}

/// Decides how an `UPLOADED` song continues and applies the transitions.
async fn settle(step: &mut SqliteConnection, song: Song) -> Result<(Song, UploadPlan), RepositoryError> {
    let same_bytes = with_hash(step, song.hash()).await?;
    rules::settle(song, &same_bytes)
}

/// Adds a hash to the outbox if the plan says so. An existing entry gets a new number: the caller that has just
/// published the old entry must not remove the new one.
async fn enqueue(step: &mut SqliteConnection, plan: UploadPlan, hash: &SongHash) -> Result<(), RepositoryError> {
    if plan == UploadPlan::Enqueue {
        query("INSERT OR REPLACE INTO outbox (hash) VALUES (?)")
            .bind(hash.to_string())
            .execute(step)
            .await
            .map_err(repository)?;
    }
    Ok(())
}

/// Removes a hash from the outbox.
async fn dequeue(step: &mut SqliteConnection, hash: &SongHash) -> Result<(), RepositoryError> {
    let deleted = query("DELETE FROM outbox WHERE hash = ?").bind(hash.to_string()).execute(step).await;
    deleted.map(|_| ()).map_err(repository)
}

async fn find(connection: &mut SqliteConnection, id: SongId) -> Result<Option<Song>, RepositoryError> {
    let row = query("SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(repository)?;
    row.as_ref().map(|row| read(row, rows::song)).transpose()
}

async fn with_hash(connection: &mut SqliteConnection, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
    let rows = query("SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs WHERE hash = ?")
        .bind(hash.to_string())
        .fetch_all(connection)
        .await
        .map_err(repository)?;
    read_all(&rows, rows::song)
}

async fn put_status(step: &mut SqliteConnection, song: &Song) -> Result<(), RepositoryError> {
    let StoredSong { id, status, .. } = song.clone().into();
    query("UPDATE songs SET status = ?, failure = ? WHERE id = ?")
        .bind(status.kind().name())
        .bind(status.failure().map(|reason| reason.as_str().to_owned()))
        .bind(id.to_string())
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
