//! The results of each hash, and changing between them. Compiled once for each engine.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::query;
use vocalizer_core::ports::{RepositoryError, ResultRepository, SongRepository};
use vocalizer_core::song::{Song, SongHash, SongId, StemsInfo, Target};

use super::engine::{Store, repository};
use super::result_rows::stored;
use super::songs::{enqueue, forget_entry, lock_songs, put_status};
use super::webhooks;
use crate::sql::rows::{self, read, read_all};
use crate::sql::rules;

#[async_trait]
impl ResultRepository for Store {
    async fn with_key(&self, key: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        const SQL: &str = "SELECT id, title, hash, uploader, uploaded_at_us, status, failure, stems, provenance, model, result_key, wanted_stems, shown_key, shown_model, stem_names FROM songs WHERE result_key = $1";
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
        self.attempt(|| async {
            // The hash of a song never changes.
            let Some(song) = SongRepository::find(self, id).await? else { return Ok(None) };
            let mut step = self.begin_for(song.hash()).await?;
            let mut same_bytes = lock_songs(&mut step, song.hash()).await?;
            let Some(at) = same_bytes.iter().position(|song| song.id() == id) else { return Ok(None) };
            let mut song = same_bytes.swap_remove(at);
            let before = song.target().key;
            song.split_again(target.clone()).map_err(|_| RepositoryError::Conflict)?;
            let stored = stored(&mut step, &target.key).await?;
            let (song, plan) = rules::settle(song, &same_bytes, stored)?;
            put_status(&mut step, &song).await?;
            forget_entry(&mut step, &before).await?;
            enqueue(&mut step, plan, &target.key).await?;
            webhooks::add_changed(&mut step, &song).await?;
            self.check_lock(&mut step, song.hash()).await?;
            self.commit(step).await?;
            Ok(Some(song))
        })
        .await
    }
}
