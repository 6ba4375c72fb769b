//! Songs and the outbox.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::dedupe::{Advance, UploadPlan};
use vocalizer_core::ports::{
    Charge, Cursor, Expiry, Pending, Removed, RepositoryError, SongCounts, SongQuery, SongRepository,
};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{Song, SongHash, SongId, Status, StatusKind, StoredSong, Title};

use super::error::repository;
use super::open::PostgresStore;
use super::quotas;
use crate::sql::rows::{self, micros, read, read_all};
use crate::sql::rules::{self, apply_all, is_same};

#[async_trait]
impl SongRepository for PostgresStore {
    async fn admit_within(&self, song: &Song, charge: &Charge) -> Result<Song, RepositoryError> {
        self.attempt(|| async {
            let mut step = self.begin_for(song.hash()).await?;
            if let Some(known) = find(&mut step, song.id()).await? {
                return if is_same(&known, song) { Ok(known) } else { Err(RepositoryError::Conflict) };
            }
            if song.status() != &Status::Uploaded {
                return Err(RepositoryError::Conflict);
            }
            quotas::charge(&mut step, charge).await?;
            let same_bytes = with_hash(&mut step, song.hash()).await?;
            let (song, plan) = rules::settle(song.clone(), &same_bytes)?;
            let stored = query(
                "INSERT INTO songs \
                 (id, title, hash, uploader, uploaded_at_us, status, size_bytes, uploader_address, kept_since_us) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT time_us FROM retention WHERE time_us > $5)) \
                 RETURNING id, title, hash, uploader, uploaded_at_us, status, failure",
            )
            .bind(song.id().to_string())
            .bind(song.title().as_str())
            .bind(song.hash().to_string())
            .bind(song.uploader().map(|user| user.to_string()))
            .bind(Cursor::of(&song).uploaded_at_us)
            .bind(song.status().kind().name())
            .bind(rules::bytes(charge.weight.size_bytes))
            .bind(rules::kept_address(charge))
            .fetch_one(&mut *step)
            .await
            .map_err(repository)?;
            enqueue(&mut step, plan, song.hash()).await?;
            self.check_lock(&mut step, song.hash()).await?;
            self.commit(step).await?;
            read(&stored, rows::song)
        })
        .await
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
        const SQL: &str = "\
            INSERT INTO retention (one, time_us) \
            VALUES (1, least($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) \
            ON CONFLICT (one) DO UPDATE SET time_us = least(excluded.time_us, retention.time_us + $2) \
            RETURNING time_us AS newest";
        self.attempt(|| async {
            let row = query(SQL).bind(micros(now)).bind(rules::span(most)).fetch_one(self.write_pool().await).await;
            Ok(read(&row.map_err(repository)?, rows::newest)?.unwrap_or(now))
        })
        .await
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE coalesce(kept_since_us, uploaded_at_us) < $1 AND status IN ('SPLIT', 'FAILED') \
            AND NOT ($2 AND uploader IS NOT NULL) ORDER BY coalesce(kept_since_us, uploaded_at_us), id LIMIT $3";
        self.attempt(|| async {
            let rows = query(SQL)
                .bind(micros(expiry.before))
                .bind(expiry.anonymous_only)
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.attempt(|| async {
            // The hash of a song never changes.
            let Some(song) = SongRepository::find(self, id).await? else { return Ok(None) };
            let mut step = self.begin_for(song.hash()).await?;
            let mut same_bytes = with_hash(&mut step, song.hash()).await?;
            let Some(at) = same_bytes.iter().position(|song| song.id() == id) else { return Ok(None) };
            let mut song = same_bytes.swap_remove(at);
            song.retry().map_err(|_| RepositoryError::Conflict)?;
            let (song, plan) = rules::settle(song, &same_bytes)?;
            put_status(&mut step, &song).await?;
            enqueue(&mut step, plan, song.hash()).await?;
            self.commit(step).await?;
            Ok(Some(song))
        })
        .await
    }

    async fn advance(&self, hash: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError> {
        self.attempt(|| async {
            let mut step = self.begin_for(hash).await?;
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
                self.check_lock(&mut step, hash).await?;
            }
            self.commit(step).await?;
            Ok(changed)
        })
        .await
    }

    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError> {
        self.attempt(|| async {
            let row = query(
                "UPDATE songs SET title = $2 WHERE id = $1 \
                 RETURNING id, title, hash, uploader, uploaded_at_us, status, failure",
            )
            .bind(id.to_string())
            .bind(title.as_str())
            .fetch_optional(self.write_pool().await)
            .await
            .map_err(repository)?;
            row.as_ref().map(|row| read(row, rows::song)).transpose()
        })
        .await
    }

    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.attempt(|| async { find(&mut *self.pool.acquire().await.map_err(repository)?, id).await }).await
    }

    async fn list(&self, asked: &SongQuery) -> Result<Vec<Song>, RepositoryError> {
        // Each half uses its own index, and the results are merged without sorting. With a status other indexes apply,
        // so the query is planned with its values.
        const SQL: &str = "\
            (SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader IS NULL AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
            AND ($4 IS NULL OR status = $4) ORDER BY uploaded_at_us DESC, id LIMIT $5) \
            UNION ALL \
            (SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs \
            WHERE uploader = $1 AND uploaded_at_us <= $2 AND (uploaded_at_us < $2 OR id > $3) \
            AND ($4 IS NULL OR status = $4) ORDER BY uploaded_at_us DESC, id LIMIT $5) \
            ORDER BY uploaded_at_us DESC, id LIMIT $5";
        let (before_us, after_id) = match asked.after {
            Some(Cursor { uploaded_at_us, id }) => (uploaded_at_us, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        self.attempt(|| async {
            let rows = query(SQL)
                // Plan for the actual values: a generic plan would sort, because it does not know the small page size.
                .persistent(false)
                .bind(asked.viewer.user().map(|user| user.to_string()))
                .bind(before_us)
                .bind(&after_id)
                .bind(asked.status.map(StatusKind::name))
                .bind(asked.limit.map(i64::from))
                .fetch_all(&self.pool)
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        self.attempt(|| async {
            let rows =
                query("SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs WHERE hash = $1")
                    .bind(hash.to_string())
                    .fetch_all(&self.pool)
                    .await
                    .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError> {
        self.attempt(|| async {
            // Row by row, because a row takes much more memory than its hash, and there may be one per song.
            let distinct = query("SELECT DISTINCT hash FROM songs WHERE status = $1").bind(status.name());
            let mut rows = distinct.fetch(&self.pool);
            let mut hashes = Vec::new();
            while let Some(row) = rows.try_next().await.map_err(repository)? {
                hashes.push(read(&row, rows::hash)?);
            }
            Ok(hashes)
        })
        .await
    }

    async fn remove(&self, id: SongId) -> Result<Option<Removed>, RepositoryError> {
        self.attempt(|| async {
            let Some(song) = SongRepository::find(self, id).await? else { return Ok(None) };
            let mut step = self.begin_for(song.hash()).await?;
            let row = query(
                "DELETE FROM songs WHERE id = $1 \
                 RETURNING id, title, hash, uploader, uploaded_at_us, status, failure",
            )
            .bind(id.to_string())
            .fetch_optional(&mut *step)
            .await
            .map_err(repository)?;
            let Some(row) = row else { return Ok(None) };
            let others: i64 = query_scalar("SELECT count(*) FROM songs WHERE hash = $1")
                .bind(song.hash().to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
            if others == 0 {
                dequeue(&mut step, song.hash()).await?;
            }
            let song = read(&row, rows::song)?;
            self.check_lock(&mut step, song.hash()).await?;
            self.commit(step).await?;
            Ok(Some(Removed { song, others_with_hash: others.unsigned_abs() }))
        })
        .await
    }

    async fn request(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        const SQL: &str = "INSERT INTO outbox (hash) VALUES ($1) ON CONFLICT (hash) DO NOTHING";
        self.write(|| query(SQL).bind(hash.to_string())).await.map(|_| ())
    }

    async fn pending(&self, limit: u32) -> Result<Vec<Pending>, RepositoryError> {
        self.attempt(|| async {
            let rows = query("SELECT number, hash FROM outbox ORDER BY number LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await
                .map_err(repository)?;
            read_all(&rows, rows::pending)
        })
        .await
    }

    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError> {
        // Skip rows that other servers are claiming.
        const SQL: &str = "\
            WITH free AS MATERIALIZED ( \
                SELECT number FROM outbox WHERE claimed_until_us IS NULL OR claimed_until_us <= $2 \
                ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED \
            ) \
            UPDATE outbox SET claimed_until_us = $3 FROM free WHERE outbox.number = free.number \
            RETURNING outbox.number, outbox.hash";
        self.attempt(|| async {
            let rows = query(SQL)
                .bind(i64::from(limit))
                .bind(micros(now))
                .bind(micros(now + lasts))
                .fetch_all(self.write_pool().await)
                .await
                .map_err(repository)?;
            let mut claimed = read_all(&rows, rows::pending)?;
            claimed.sort_by_key(|entry| entry.number);
            Ok(claimed)
        })
        .await
    }

    async fn release(&self, number: i64) -> Result<(), RepositoryError> {
        const SQL: &str = "UPDATE outbox SET claimed_until_us = NULL WHERE number = $1";
        self.write(|| query(SQL).bind(number)).await.map(|_| ())
    }

    async fn published(&self, number: i64) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM outbox WHERE number = $1").bind(number)).await.map(|_| ())
    }

    async fn count(&self) -> Result<SongCounts, RepositoryError> {
        self.attempt(|| async {
            let rows = query("SELECT status, count(*) AS songs FROM songs GROUP BY status")
                .fetch_all(&self.pool)
                .await
                .map_err(repository)?;
            Ok(rules::counts(read_all(&rows, rows::counted)?))
        })
        .await
    }

    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError> {
        self.attempt(|| async {
            let row = query("SELECT max(uploaded_at_us) AS newest FROM songs").fetch_one(&self.pool).await;
            read(&row.map_err(repository)?, rows::newest)
        })
        .await
    }

    async fn check(&self) -> Result<(), RepositoryError> {
        // A reserved key that has already expired: the next sweep removes it.
        const SQL: &str = "INSERT INTO attempts (key, count, next_us, forgotten_us) VALUES ('readiness', 0, 0, 0) \
                           ON CONFLICT (key) DO UPDATE SET count = 0";
        self.write(|| query(SQL)).await.map(|_| ())
    }
}

/// Adds a hash to the outbox if the plan says so. An existing entry gets a new number and loses its claim: the server
/// that has just published the old entry must not remove the new one.
async fn enqueue(step: &mut PgConnection, plan: UploadPlan, hash: &SongHash) -> Result<(), RepositoryError> {
    if plan == UploadPlan::Enqueue {
        query(
            "INSERT INTO outbox (hash) VALUES ($1) \
             ON CONFLICT (hash) DO UPDATE SET number = DEFAULT, claimed_until_us = NULL",
        )
        .bind(hash.to_string())
        .execute(step)
        .await
        .map_err(repository)?;
    }
    Ok(())
}

/// Removes a hash from the outbox.
async fn dequeue(step: &mut PgConnection, hash: &SongHash) -> Result<(), RepositoryError> {
    let deleted = query("DELETE FROM outbox WHERE hash = $1").bind(hash.to_string()).execute(step).await;
    deleted.map(|_| ()).map_err(repository)
}

async fn find(connection: &mut PgConnection, id: SongId) -> Result<Option<Song>, RepositoryError> {
    let row = query("SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(repository)?;
    row.as_ref().map(|row| read(row, rows::song)).transpose()
}

/// Returns the songs with a hash and locks their rows, so that titles cannot change meanwhile.
async fn with_hash(step: &mut PgConnection, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
    let rows = query(
        "SELECT id, title, hash, uploader, uploaded_at_us, status, failure FROM songs WHERE hash = $1 FOR UPDATE",
    )
    .bind(hash.to_string())
    .fetch_all(step)
    .await
    .map_err(repository)?;
    read_all(&rows, rows::song)
}

async fn put_status(step: &mut PgConnection, song: &Song) -> Result<(), RepositoryError> {
    let StoredSong { id, status, .. } = song.clone().into();
    query("UPDATE songs SET status = $2, failure = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(status.kind().name())
        .bind(status.failure().map(|reason| reason.as_str().to_owned()))
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
