//! The trash. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::ports::{RepositoryError, TrashFilter, TrashRepository, Trashed, TrashedSong};
use vocalizer_core::quota::{Quota, Uploader};
use vocalizer_core::song::{Song, SongHash, SongId};

use super::engine::{self, Connection, Store, repository};
use super::quotas;
use super::songs::{dequeue, lock_songs, put_status, replan};
use super::webhooks;
use crate::sql::rows::{self, micros, read, read_all, song_columns};

impl Store {
    /// Returns the hash of a song, also of one in the trash. It never changes.
    pub(super) async fn hash_of(&self, id: SongId) -> Result<Option<SongHash>, RepositoryError> {
        let found = query("SELECT hash FROM songs WHERE id = $1").bind(id.to_string()).fetch_optional(self.read());
        found.await.map_err(repository)?.map(|row| read(&row, rows::hash)).transpose()
    }
}

async fn find_trashed(connection: &mut Connection, id: SongId) -> Result<Option<TrashedSong>, RepositoryError> {
    const SQL: &str = concat!(
        "SELECT ",
        song_columns!(),
        ", trashed_at_us, was_waiting FROM songs WHERE id = $1 AND trashed_at_us IS NOT NULL"
    );
    let row = query(SQL).bind(id.to_string()).fetch_optional(connection).await.map_err(repository)?;
    row.as_ref().map(|row| read(row, rows::trashed_song)).transpose()
}

#[async_trait]
impl TrashRepository for Store {
    async fn trash(&self, id: SongId, now: OffsetDateTime) -> Result<Option<Trashed>, RepositoryError> {
        const SQL: &str = "\
            UPDATE songs SET trashed_at_us = coalesce((SELECT time_us FROM retention WHERE time_us > $2), $2), \
            was_waiting = $3 WHERE id = $1 RETURNING trashed_at_us";
        self.attempt(|| async {
            let Some(hash) = self.hash_of(id).await? else { return Ok(None) };
            let mut step = self.begin_for(&hash).await?;
            let mut others = lock_songs(&mut step, &hash).await?;
            let Some(at) = others.iter().position(|song| song.id() == id) else { return Ok(None) };
            let mut song = others.swap_remove(at);
            webhooks::add(&mut step, &song, WebhookEvent::Deleted).await?;
            let was_waiting = song.cancel().is_ok();
            if was_waiting {
                put_status(&mut step, &song).await?;
            }
            let rows = query(SQL)
                .bind(id.to_string())
                .bind(micros(now))
                .bind(i64::from(was_waiting))
                .fetch_all(&mut *step)
                .await
                .map_err(repository)?;
            let Some(row) = rows.first() else { return Ok(None) };
            let trashed_at = read(row, rows::trashed_at)?;
            let key = song.target().key;
            let is_wanted_by_others =
                others.iter().any(|other| other.target().key == key && other.status().is_waiting());
            if !is_wanted_by_others {
                dequeue(&mut step, &key).await?;
            }
            self.check_lock(&mut step, &hash).await?;
            self.commit(step).await?;
            Ok(Some(Trashed { trashed: TrashedSong { song, trashed_at, was_waiting }, is_wanted_by_others }))
        })
        .await
    }

    async fn restore(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        const RESTORE: &str = "UPDATE songs SET trashed_at_us = NULL, was_waiting = NULL WHERE id = $1";
        self.attempt(|| async {
            let Some(hash) = self.hash_of(id).await? else { return Ok(None) };
            let mut step = self.begin_for(&hash).await?;
            let Some(TrashedSong { song, was_waiting, .. }) = find_trashed(&mut step, id).await? else {
                return Ok(None);
            };
            query(RESTORE).bind(id.to_string()).execute(&mut *step).await.map_err(repository)?;
            let restored = match was_waiting {
                true => replan(&mut step, &hash, id, Song::retry).await?,
                false => Some(song),
            };
            self.check_lock(&mut step, &hash).await?;
            self.commit(step).await?;
            Ok(restored)
        })
        .await
    }

    async fn find_trashed(&self, id: SongId) -> Result<Option<TrashedSong>, RepositoryError> {
        self.attempt(|| async {
            let mut connection = self.read().acquire().await.map_err(repository)?;
            find_trashed(&mut connection, id).await
        })
        .await
    }

    async fn list_trash(&self, filter: &TrashFilter) -> Result<Vec<TrashedSong>, RepositoryError> {
        let (before_us, after_id) = match filter.after {
            Some((trashed_at_us, id)) => (trashed_at_us, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        self.attempt(|| async {
            let rows = query(engine::TRASH)
                .bind(filter.viewer.user().map(|user| user.to_string()))
                .bind(before_us)
                .bind(&after_id)
                .bind(i64::from(filter.limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::trashed_song)
        })
        .await
    }

    async fn trashed_before(&self, before: OffsetDateTime, limit: u32) -> Result<Vec<SongId>, RepositoryError> {
        const SQL: &str = "SELECT id FROM songs WHERE trashed_at_us < $1 ORDER BY trashed_at_us, id LIMIT $2";
        self.attempt(|| async {
            let statement = query(SQL).bind(micros(before)).bind(i64::from(limit));
            read_all(&statement.fetch_all(self.read()).await.map_err(repository)?, rows::song_id)
        })
        .await
    }

    async fn trash_over(&self, uploader: &Uploader, quota: &Quota) -> Result<Option<SongId>, RepositoryError> {
        const OF_USER: &str = "\
            SELECT id FROM songs WHERE uploader = $1 AND trashed_at_us IS NOT NULL ORDER BY trashed_at_us, id LIMIT 1";
        const OF_ADDRESS: &str = "\
            SELECT id FROM songs WHERE uploader_address = $1 AND trashed_at_us IS NOT NULL \
            ORDER BY trashed_at_us, id LIMIT 1";
        self.attempt(|| async {
            let mut connection = self.read().acquire().await.map_err(repository)?;
            let (songs, bytes) = quotas::totals(&mut connection, uploader, true).await?;
            if quota.holds(songs, bytes) {
                return Ok(None);
            }
            let oldest = match uploader {
                Uploader::User(id) => query(OF_USER).bind(id.to_string()),
                Uploader::Address(digest) => query(OF_ADDRESS).bind(digest.to_string()),
            };
            let row = oldest.fetch_optional(&mut *connection).await.map_err(repository)?;
            row.as_ref().map(|row| read(row, rows::song_id)).transpose()
        })
        .await
    }
}
