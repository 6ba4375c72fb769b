//! Markers. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::{query, query_scalar};
use vocalizer_core::ports::{MarkerRepository, RepositoryError, SongRepository};
use vocalizer_core::song::{Marker, MarkerId, SongId, Title};

use super::engine::{Statement, Store, repository};
use crate::sql::rows::{self, read_all};

#[async_trait]
impl MarkerRepository for Store {
    async fn insert_marker(&self, song: SongId, marker: &Marker, max: u32) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            // The hash of a song never changes. Its lock makes concurrent calls for a song wait.
            let stored = SongRepository::find(self, song).await?.ok_or(RepositoryError::Conflict)?;
            let mut step = self.begin_for(stored.hash()).await?;
            insert_marker(song, marker)?.execute(&mut *step).await.map_err(repository)?;
            let markers: i64 = query_scalar("SELECT count(*) FROM markers WHERE song_id = $1")
                .bind(song.to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
            if markers > i64::from(max) {
                return Ok(false);
            }
            self.commit(step).await?;
            Ok(true)
        })
        .await
    }

    async fn markers(&self, song: SongId) -> Result<Vec<Marker>, RepositoryError> {
        const SQL: &str = "SELECT id, song_id, at_ms, name FROM markers WHERE song_id = $1 ORDER BY at_ms, id";
        self.attempt(|| async {
            let rows = query(SQL).bind(song.to_string()).fetch_all(self.read()).await.map_err(repository)?;
            Ok(read_all(&rows, rows::marker)?.into_iter().map(|(_, marker)| marker).collect())
        })
        .await
    }

    async fn change_marker(
        &self,
        song: SongId,
        id: MarkerId,
        at_ms: Option<u64>,
        name: Option<&Title>,
    ) -> Result<bool, RepositoryError> {
        const SQL: &str = "\
            UPDATE markers SET at_ms = coalesce($3, at_ms), name = coalesce($4, name) \
            WHERE song_id = $1 AND id = $2";
        let at_ms = at_ms.map(whole).transpose()?;
        let changed = self
            .write(|| {
                let name = name.map(|name| name.as_str().to_owned());
                query(SQL).bind(song.to_string()).bind(id.to_string()).bind(at_ms).bind(name)
            })
            .await?;
        Ok(changed > 0)
    }

    async fn remove_marker(&self, song: SongId, id: MarkerId) -> Result<bool, RepositoryError> {
        const SQL: &str = "DELETE FROM markers WHERE song_id = $1 AND id = $2";
        Ok(self.write(|| query(SQL).bind(song.to_string()).bind(id.to_string())).await? > 0)
    }
}

/// Returns the statement that inserts a marker of a song.
pub(super) fn insert_marker(song: SongId, marker: &Marker) -> Result<Statement, RepositoryError> {
    Ok(query("INSERT INTO markers (id, song_id, at_ms, name) VALUES ($1, $2, $3, $4)")
        .bind(marker.id.to_string())
        .bind(song.to_string())
        .bind(whole(marker.at_ms)?)
        .bind(marker.name.as_str().to_owned()))
}

/// Returns a time as databases store it.
fn whole(at_ms: u64) -> Result<i64, RepositoryError> {
    i64::try_from(at_ms).map_err(|error| RepositoryError::Corrupt(error.into()))
}
