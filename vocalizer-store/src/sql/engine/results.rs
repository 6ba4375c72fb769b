//! The results of each hash, and changing between them. Compiled once for each engine.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::query;
use vocalizer_core::ports::{RepositoryError, ResultRepository};
use vocalizer_core::song::{Song, SongHash, SongId, StemsInfo, Target};

use super::engine::{Store, repository};
use super::songs::resubmit;
use crate::sql::rows::{self, read, read_all, song_columns};

#[async_trait]
impl ResultRepository for Store {
    async fn with_key(&self, key: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        const SQL: &str =
            concat!("SELECT ", song_columns!(), " FROM songs WHERE result_key = $1 AND trashed_at_us IS NULL");
        self.attempt(|| async {
            let rows = query(SQL).bind(key.to_string()).fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn results(&self, hash: &SongHash) -> Result<Vec<StemsInfo>, RepositoryError> {
        const SQL: &str = "\
            SELECT stems, provenance, shown_key, shown_model, stem_names FROM results WHERE hash = $1 ORDER BY number";
        self.attempt(|| async {
            let rows = query(SQL).bind(hash.to_string()).fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::stems)
        })
        .await
    }

    async fn newest_results(&self, limit: u32) -> Result<Vec<StemsInfo>, RepositoryError> {
        const SQL: &str = "\
            SELECT stems, provenance, shown_key, shown_model, stem_names FROM results ORDER BY number DESC LIMIT $1";
        self.attempt(|| async {
            let rows = query(SQL).bind(i64::from(limit)).fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::stems)
        })
        .await
    }

    async fn known_keys(&self) -> Result<Vec<SongHash>, RepositoryError> {
        const SQL: &str = "\
            SELECT hash FROM songs UNION SELECT result_key AS hash FROM songs UNION SELECT shown_key AS hash FROM results";
        self.attempt(|| async {
            // Row by row, because a row takes much more memory than its hash.
            let mut rows = query(SQL).fetch(self.read());
            let mut keys = Vec::new();
            while let Some(row) = rows.try_next().await.map_err(repository)? {
                keys.push(read(&row, rows::hash)?);
            }
            Ok(keys)
        })
        .await
    }

    async fn split_again(&self, id: SongId, target: &Target) -> Result<Option<Song>, RepositoryError> {
        resubmit(self, id, |song| song.split_again(target.clone())).await
    }
}
