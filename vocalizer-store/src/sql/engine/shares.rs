//! Share links. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink};
use vocalizer_core::ports::{RepositoryError, ShareRepository, SongRepository};
use vocalizer_core::song::SongId;

use super::engine::{Statement, Store, repository};
use crate::sql::rows::{self, micros, read, read_all};

#[async_trait]
impl ShareRepository for Store {
    async fn insert_share(&self, link: &ShareLink, max: u32, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            // The hash of a song never changes. Its lock makes concurrent calls for a song wait.
            let song = SongRepository::find(self, link.song).await?.ok_or(RepositoryError::Conflict)?;
            let mut step = self.begin_for(song.hash()).await?;
            query("DELETE FROM shares WHERE song_id = $1 AND expires_at_us <= $2")
                .bind(link.song.to_string())
                .bind(micros(now))
                .execute(&mut *step)
                .await
                .map_err(repository)?;
            insert_share(link)?.execute(&mut *step).await.map_err(repository)?;
            let links: i64 = query_scalar("SELECT count(*) FROM shares WHERE song_id = $1")
                .bind(link.song.to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
            if links > i64::from(max) {
                return Ok(false);
            }
            self.commit(step).await?;
            Ok(true)
        })
        .await
    }

    async fn shares(&self, song: SongId) -> Result<Vec<ShareLink>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, digest, song_id, created_at_us, expires_at_us, mix FROM shares \
            WHERE song_id = $1 ORDER BY created_at_us DESC, id";
        self.attempt(|| async {
            let rows = query(SQL).bind(song.to_string()).fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::share)
        })
        .await
    }

    async fn find_share(
        &self,
        digest: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<Option<ShareLink>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, digest, song_id, created_at_us, expires_at_us, mix FROM shares \
            WHERE digest = $1 AND (expires_at_us IS NULL OR expires_at_us > $2) \
            AND EXISTS (SELECT 1 FROM songs WHERE songs.id = song_id AND trashed_at_us IS NULL)";
        self.attempt(|| async {
            let statement = query(SQL).bind(&digest.as_bytes()[..]).bind(micros(now));
            let row = statement.fetch_optional(self.read()).await.map_err(repository)?;
            row.as_ref().map(|row| read(row, rows::share)).transpose()
        })
        .await
    }

    async fn revoke_share(&self, song: SongId, id: ShareId) -> Result<bool, RepositoryError> {
        const SQL: &str = "DELETE FROM shares WHERE song_id = $1 AND id = $2";
        Ok(self.write(|| query(SQL).bind(song.to_string()).bind(id.to_string())).await? > 0)
    }

    async fn forget_expired_shares(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        self.write(|| query("DELETE FROM shares WHERE expires_at_us <= $1").bind(micros(now))).await
    }
}

/// Returns the statement that inserts a share link.
pub(super) fn insert_share(link: &ShareLink) -> Result<Statement, RepositoryError> {
    let mix = link.mix.as_ref().map(serde_json::to_string).transpose();
    let mix = mix.map_err(|error| RepositoryError::Corrupt(error.into()))?;
    let statement = query(
        "INSERT INTO shares (id, digest, song_id, created_at_us, expires_at_us, mix) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(link.id.to_string())
    .bind(link.digest.as_bytes().to_vec())
    .bind(link.song.to_string())
    .bind(micros(link.created_at))
    .bind(link.expires_at.map(micros))
    .bind(mix);
    Ok(statement)
}
