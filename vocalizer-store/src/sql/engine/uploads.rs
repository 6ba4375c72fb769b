//! Resumable uploads. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::api::id::UploadId;
use vocalizer_core::ports::{PartialUpload, RepositoryError, UploadBounds, UploadRepository, UploadTotals};
use vocalizer_core::quota::{Uploader, Usage};
use vocalizer_core::song::{SongHash, SongId};

use super::engine::{Connection, Statement, Store, repository};
use super::quotas::usage;
use crate::sql::rows::{self, micros, read, read_all};

#[async_trait]
impl UploadRepository for Store {
    async fn create_upload(
        &self,
        upload: &PartialUpload,
        uploader: &Uploader,
        bounds: &UploadBounds,
    ) -> Result<bool, RepositoryError> {
        const OWN: &str = "SELECT count(*) AS songs, CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS bytes \
                           FROM uploads WHERE song IS NULL AND uploader = $1";
        self.attempt(|| async {
            // One lock for all uploads: two at once could exceed the bounds.
            let mut step = self.begin_for(&SongHash::of(b"vocalizer unfinished uploads")).await?;
            let own = totals(&mut step, query(OWN).bind(upload.uploader.clone())).await?;
            let all = totals(&mut step, query(ALL)).await?;
            let used = match bounds.quota.has_totals() {
                true => usage(&mut step, uploader, &bounds.quota).await?,
                false => Usage::default(),
            };
            let has_room = bounds.admit(upload.size_bytes, own, all, used).map_err(RepositoryError::Exceeded)?;
            if has_room {
                insert_upload(upload)?.execute(&mut *step).await.map_err(repository)?;
                self.commit(step).await?;
            }
            Ok(has_room)
        })
        .await
    }

    async fn find_upload(&self, id: UploadId) -> Result<Option<PartialUpload>, RepositoryError> {
        const SQL: &str = "SELECT id, owner, uploader, size_bytes, received_bytes, fields, song, expires_at_us \
                           FROM uploads WHERE id = $1";
        self.attempt(|| async {
            let row = query(SQL).bind(id.to_string()).fetch_optional(self.read()).await.map_err(repository)?;
            row.as_ref().map(|row| read(row, rows::upload)).transpose()
        })
        .await
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        from: u64,
        to: u64,
        expires_at: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        const SQL: &str = "UPDATE uploads SET received_bytes = $3, expires_at_us = $4 \
                           WHERE id = $1 AND received_bytes = $2 AND song IS NULL";
        let hash = PartialUpload::hash_of(id);
        self.attempt(|| async {
            let mut step = self.begin_for(&hash).await?;
            let statement = query(SQL).bind(id.to_string()).bind(number(from)?).bind(number(to)?);
            let done = statement.bind(micros(expires_at)).execute(&mut *step).await.map_err(repository)?;
            self.check_lock(&mut step, &hash).await?;
            self.commit(step).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    async fn finish_upload(&self, id: UploadId, song: SongId) -> Result<(), RepositoryError> {
        const SQL: &str = "UPDATE uploads SET song = $2 WHERE id = $1";
        self.write(|| query(SQL).bind(id.to_string()).bind(song.to_string())).await.map(|_| ())
    }

    async fn remove_upload(&self, id: UploadId) -> Result<bool, RepositoryError> {
        Ok(self.write(|| query("DELETE FROM uploads WHERE id = $1").bind(id.to_string())).await? > 0)
    }

    async fn expired_uploads(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<UploadId>, RepositoryError> {
        const SQL: &str = "SELECT id FROM uploads WHERE expires_at_us <= $1 ORDER BY expires_at_us, id LIMIT $2";
        self.attempt(|| async {
            let statement = query(SQL).bind(micros(now)).bind(i64::from(limit));
            let rows = statement.fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::upload_id)
        })
        .await
    }

    async fn uploads(&self) -> Result<Vec<UploadId>, RepositoryError> {
        self.attempt(|| async {
            let rows = query("SELECT id FROM uploads").fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::upload_id)
        })
        .await
    }

    async fn unfinished_uploads(&self) -> Result<UploadTotals, RepositoryError> {
        self.attempt(|| async {
            let row = query(ALL).fetch_one(self.read()).await.map_err(repository)?;
            let (uploads, bytes) = read(&row, rows::totals)?;
            Ok(UploadTotals { uploads, bytes })
        })
        .await
    }
}

const ALL: &str = "SELECT count(*) AS songs, CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS bytes \
                   FROM uploads WHERE song IS NULL";

async fn totals(step: &mut Connection, statement: Statement) -> Result<UploadTotals, RepositoryError> {
    let row = statement.fetch_one(step).await.map_err(repository)?;
    let (uploads, bytes) = read(&row, rows::totals)?;
    Ok(UploadTotals { uploads, bytes })
}

/// Returns the statement that inserts an upload.
pub(super) fn insert_upload(upload: &PartialUpload) -> Result<Statement, RepositoryError> {
    let fields = serde_json::to_string(&upload.fields).map_err(|error| RepositoryError::Corrupt(error.into()))?;
    let statement = query(
        "INSERT INTO uploads (id, owner, uploader, size_bytes, received_bytes, fields, song, expires_at_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(upload.id.to_string())
    .bind(upload.owner.map(|owner| owner.to_string()))
    .bind(upload.uploader.clone())
    .bind(number(upload.size_bytes)?)
    .bind(number(upload.received_bytes)?)
    .bind(fields)
    .bind(upload.song.map(|song| song.to_string()))
    .bind(micros(upload.expires_at));
    Ok(statement)
}

fn number(bytes: u64) -> Result<i64, RepositoryError> {
    i64::try_from(bytes).map_err(|error| RepositoryError::Corrupt(error.into()))
}
