//! Labels. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::query;
use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{LabelCount, LabelRepository, RepositoryError};
use vocalizer_core::song::{LabelChange, Song, SongId};

use super::engine::{Connection, Statement, Store, repository};
use super::songs::lock_songs;
use crate::sql::rows::{self, read_all};
use crate::sql::rules;

#[async_trait]
impl LabelRepository for Store {
    async fn relabel(&self, id: SongId, change: &LabelChange) -> Result<Option<Song>, RepositoryError> {
        self.attempt(|| async {
            let Some(hash) = self.hash_of(id).await? else { return Ok(None) };
            let mut step = self.begin_for(&hash).await?;
            let mut same_bytes = lock_songs(&mut step, &hash).await?;
            let Some(at) = same_bytes.iter().position(|song| song.id() == id) else { return Ok(None) };
            let mut song = same_bytes.swap_remove(at);
            song.relabel(change).map_err(|_| RepositoryError::Conflict)?;
            put_labels(&mut step, &song).await?;
            self.commit(step).await?;
            Ok(Some(song))
        })
        .await
    }

    async fn labels(&self, viewer: Viewer) -> Result<Vec<LabelCount>, RepositoryError> {
        const SQL: &str = "\
            SELECT labels, count(*) AS songs FROM songs \
            WHERE uploader IS NULL AND labels IS NOT NULL AND trashed_at_us IS NULL GROUP BY labels \
            UNION ALL \
            SELECT labels, count(*) AS songs FROM songs \
            WHERE uploader = $1 AND labels IS NOT NULL AND trashed_at_us IS NULL GROUP BY labels";
        self.attempt(|| async {
            let user = viewer.user().map(|user| user.to_string());
            let rows = query(SQL).bind(user).fetch_all(self.read()).await.map_err(repository)?;
            Ok(LabelCount::of(read_all(&rows, rows::labelled)?))
        })
        .await
    }
}

async fn put_labels(step: &mut Connection, song: &Song) -> Result<(), RepositoryError> {
    let id = song.id().to_string();
    let update = query("UPDATE songs SET labels = $2 WHERE id = $1").bind(id.clone()).bind(rules::labels(song));
    update.execute(&mut *step).await.map_err(repository)?;
    query("DELETE FROM song_labels WHERE song_id = $1").bind(id).execute(&mut *step).await.map_err(repository)?;
    for statement in insert_labels(song) {
        statement.execute(&mut *step).await.map_err(repository)?;
    }
    Ok(())
}

/// Returns the statements that insert the keys of a song's labels.
pub(super) fn insert_labels(song: &Song) -> impl Iterator<Item = Statement> {
    song.labels().iter().map(|label| {
        query("INSERT INTO song_labels (label_key, song_id) VALUES ($1, $2)")
            .bind(label.key())
            .bind(song.id().to_string())
    })
}
