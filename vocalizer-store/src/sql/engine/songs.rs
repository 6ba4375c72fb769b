//! Songs and the outbox. Compiled once for each engine.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::account::UserId;
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::dedupe::{Advance, UploadPlan};
use vocalizer_core::ports::{
    Cancelled, Census, Charge, Cursor, Expiry, JobLine, Pending, Removed, RepositoryError, ResultRepository as _,
    SongCounts, SongFilter, SongRepository, Space, WebhookRepository,
};
use vocalizer_core::quota::{Quota, QuotaChange, Uploader};
use vocalizer_core::song::{
    IllegalTransition, Song, SongHash, SongId, Status, StatusKind, StoredSong, Title, sort_keys,
};
use vocalizer_core::trace::current;

use super::engine::{self, Connection, Store, repository};
use super::{lines, quotas, result_rows, webhooks};
use crate::sql::rows::{self, micros, read, read_all, song_columns};
use crate::sql::rules::{self, is_same};

#[async_trait]
impl SongRepository for Store {
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
            let same_bytes = lock_songs(&mut step, song.hash()).await?;
            let stored = result_rows::stored(&mut step, &song.target().key).await?;
            let (song, plan) = rules::settle(song.clone(), &same_bytes, stored)?;
            let (title_key, artist_key) = sort_keys(song.title().as_str(), song.facts().artist.as_deref());
            let inserted = query(concat!(
                "INSERT INTO songs \
                 (id, title, hash, uploader, uploaded_at_us, status, size_bytes, uploader_address, stems, provenance, \
                 model, result_key, wanted_stems, shown_key, shown_model, stem_names, artist, duration_ms, has_cover, \
                 title_key, artist_key, kept_since_us) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
                 (SELECT time_us FROM retention WHERE time_us > $5)) \
                 RETURNING ",
                song_columns!()
            ))
            .bind(song.id().to_string())
            .bind(song.title().as_str())
            .bind(song.hash().to_string())
            .bind(song.uploader().map(|user| user.to_string()))
            .bind(Cursor::of(&song).uploaded_at_us)
            .bind(song.status().kind().name())
            .bind(rules::bytes(charge.weight.size_bytes))
            .bind(rules::kept_address(charge))
            .bind(song.stems().formats.name())
            .bind(rules::provenance(song.stems()))
            .bind(song.target().model.map(|model| model.to_string()))
            .bind(song.target().key.to_string())
            .bind(rules::stems(song.target().stems.as_deref()))
            .bind(song.stems().key.map(|key| key.to_string()))
            .bind(song.stems().model.map(|model| model.to_string()))
            .bind(rules::stems(song.stems().names.as_deref()))
            .bind(song.facts().artist.clone())
            .bind(rules::duration_ms(song.facts()))
            .bind(song.facts().has_cover.map(i64::from))
            .bind(title_key)
            .bind(artist_key)
            // All rows, because SQLite reports a violated foreign key only after the last one.
            .fetch_all(&mut *step)
            .await
            .map_err(repository)?;
            enqueue(&mut step, plan, &song.target().key).await?;
            webhooks::add_changed(&mut step, &song).await?;
            self.check_lock(&mut step, song.hash()).await?;
            self.commit(step).await?;
            read(inserted.first().ok_or(RepositoryError::Conflict)?, rows::song)
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
        let statement = || query(engine::RETENTION_TIME).bind(micros(now)).bind(rules::span(most));
        let row = self.write_row(statement).await?;
        let time = row.map(|row| read(&row, rows::newest)).transpose()?.flatten();
        Ok(time.unwrap_or(now))
    }

    async fn expired(&self, expiry: Expiry, limit: u32) -> Result<Vec<Song>, RepositoryError> {
        self.attempt(|| async {
            let rows = query(engine::EXPIRED)
                .bind(micros(expiry.before))
                .bind(expiry.anonymous_only)
                .bind(i64::from(limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn retry(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        resubmit(self, id, Song::retry).await
    }

    async fn cancel(&self, id: SongId) -> Result<Option<Cancelled>, RepositoryError> {
        self.attempt(|| async {
            let Some(song) = SongRepository::find(self, id).await? else { return Ok(None) };
            let mut step = self.begin_for(song.hash()).await?;
            let mut same_bytes = lock_songs(&mut step, song.hash()).await?;
            let Some(at) = same_bytes.iter().position(|song| song.id() == id) else { return Ok(None) };
            let mut song = same_bytes.swap_remove(at);
            if !song.status().is_cancelled() {
                song.cancel().map_err(|_| RepositoryError::Conflict)?;
                put_status(&mut step, &song).await?;
            }
            let key = song.target().key;
            let mut same_work = same_bytes.iter().filter(|other| other.target().key == key);
            let is_wanted_by_others = same_work.any(|other| other.status().is_waiting());
            if !is_wanted_by_others {
                dequeue(&mut step, &key).await?;
            }
            self.commit(step).await?;
            Ok(Some(Cancelled { song, is_wanted_by_others }))
        })
        .await
    }

    async fn lines(&self, key: &SongHash) -> Result<Vec<JobLine>, RepositoryError> {
        lines::of(self, key).await
    }

    async fn set_priority(&self, user: UserId, priority: i32) -> Result<(), RepositoryError> {
        self.write(|| lines::set_priority(user, priority)).await.map(|_| ())
    }

    async fn advance(&self, key: &SongHash, advance: &Advance) -> Result<Vec<Song>, RepositoryError> {
        self.attempt(|| async {
            // A key always belongs to the same hash.
            let first = self.with_key(key).await?;
            let hash = first.first().map_or(key, Song::hash);
            let mut step = self.begin_for(hash).await?;
            let mut changed: Vec<Song> = Vec::new();
            for mut song in lock_songs(&mut step, hash).await? {
                if song.target().key != *key {
                    continue;
                }
                if advance.apply(&mut song).map_err(rules::illegal)? {
                    put_status(&mut step, &song).await?;
                    webhooks::add_changed(&mut step, &song).await?;
                    changed.push(song);
                }
            }
            if matches!(advance, Advance::Finish(_) | Advance::Fail(_)) {
                dequeue(&mut step, key).await?;
                self.check_lock(&mut step, hash).await?;
            }
            if let (Advance::Finish(_), Some(song)) = (advance, changed.first()) {
                result_rows::put(&mut step, song).await?;
            }
            self.commit(step).await?;
            Ok(changed)
        })
        .await
    }

    async fn rename(&self, id: SongId, title: &Title) -> Result<Option<Song>, RepositoryError> {
        const SQL: &str = concat!(
            "\
            UPDATE songs SET title = $2, title_key = $3, artist_key = $4 WHERE id = $1 AND trashed_at_us IS NULL \
            RETURNING ",
            song_columns!()
        );
        // The artist never changes.
        let Some(known) = SongRepository::find(self, id).await? else { return Ok(None) };
        let (title_key, artist_key) = sort_keys(title.as_str(), known.facts().artist.as_deref());
        let statement = || {
            let statement = query(SQL).bind(id.to_string()).bind(title.as_str().to_owned());
            statement.bind(title_key.clone()).bind(artist_key.clone())
        };
        let row = self.write_row(statement).await?;
        row.map(|row| read(&row, rows::song)).transpose()
    }

    async fn find(&self, id: SongId) -> Result<Option<Song>, RepositoryError> {
        self.attempt(|| async { find(&mut *self.read().acquire().await.map_err(repository)?, id).await }).await
    }

    async fn list(&self, asked: &SongFilter) -> Result<Vec<Song>, RepositoryError> {
        let (before_us, after_id) = match asked.after {
            Some(Cursor { uploaded_at_us, id }) => (uploaded_at_us, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        self.attempt(|| async {
            let rows = engine::list(asked.status.is_some())
                .bind(asked.viewer.user().map(|user| user.to_string()))
                .bind(before_us)
                .bind(&after_id)
                .bind(asked.status.map(StatusKind::name))
                .bind(asked.limit.map(i64::from).or(engine::NO_LIMIT))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn with_hash(&self, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
        self.attempt(|| async {
            let rows = query(concat!("SELECT ", song_columns!(), " FROM songs WHERE hash = $1"))
                .bind(hash.to_string())
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song)
        })
        .await
    }

    async fn hashes_in(&self, status: StatusKind) -> Result<Vec<SongHash>, RepositoryError> {
        self.attempt(|| async {
            // Row by row, because a row takes much more memory than its hash, and there may be one per song.
            let distinct = query("SELECT DISTINCT result_key AS hash FROM songs WHERE status = $1").bind(status.name());
            let mut rows = distinct.fetch(self.read());
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
            // The hash of a song never changes.
            let Some(hash) = self.hash_of(id).await? else { return Ok(None) };
            let mut step = self.begin_for(&hash).await?;
            let deleted =
                query(concat!("DELETE FROM songs WHERE id = $1 RETURNING ", song_columns!(), ", trashed_at_us"))
                    .bind(id.to_string())
                    .fetch_all(&mut *step)
                    .await
                    .map_err(repository)?;
            let Some(row) = deleted.first() else { return Ok(None) };
            let others: i64 = query_scalar("SELECT count(*) FROM songs WHERE hash = $1")
                .bind(hash.to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
            if others == 0 {
                result_rows::remove(&mut step, &hash).await?;
            }
            let song = read(row, rows::song)?;
            forget_entry(&mut step, &song.target().key).await?;
            if !read(row, rows::is_trashed)? {
                webhooks::add(&mut step, &song, WebhookEvent::Deleted).await?;
            }
            self.check_lock(&mut step, &hash).await?;
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
            let rows = query("SELECT number, hash, trace FROM outbox ORDER BY number LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::pending)
        })
        .await
    }

    async fn claim(&self, limit: u32, lasts: Duration, now: OffsetDateTime) -> Result<Vec<Pending>, RepositoryError> {
        engine::claim(self, limit, lasts, now).await
    }

    async fn release(&self, number: i64) -> Result<(), RepositoryError> {
        engine::release(self, number).await
    }

    async fn published(&self, number: i64) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM outbox WHERE number = $1").bind(number)).await?;
        engine::forget_claim(self, number);
        Ok(())
    }

    async fn quota_of(&self, user: UserId) -> Result<QuotaChange, RepositoryError> {
        self.read_quota(user).await
    }

    async fn is_holding(&self) -> Result<bool, RepositoryError> {
        self.read_hold().await
    }

    async fn erasures(&self, limit: u32) -> Result<Vec<SongHash>, RepositoryError> {
        self.read_erasures(limit).await
    }

    async fn erased(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM erasures WHERE hash = $1").bind(hash.to_string())).await.map(|_| ())
    }

    async fn count(&self) -> Result<SongCounts, RepositoryError> {
        self.attempt(|| async {
            let rows = query("SELECT status, count(*) AS songs FROM songs WHERE trashed_at_us IS NULL GROUP BY status")
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            Ok(rules::counts(read_all(&rows, rows::counted)?))
        })
        .await
    }

    async fn census(&self) -> Result<Census, RepositoryError> {
        const WAITING: &str = "SELECT model, count(*) AS songs FROM songs WHERE status = 'UPLOADED' GROUP BY model";
        const OTHERS: &str = "\
            SELECT (SELECT count(DISTINCT coalesce(uploader, '')) FROM songs WHERE status = 'UPLOADED') AS owners, \
            (SELECT count(*) FROM shares) AS shares, \
            (SELECT count(*) FROM songs WHERE trashed_at_us IS NOT NULL) AS trashed";
        self.attempt(|| async {
            let waiting = query(WAITING).fetch_all(self.read()).await.map_err(repository)?;
            let others = query(OTHERS).fetch_one(self.read()).await.map_err(repository)?;
            let waiting = read_all(&waiting, rows::waiting)?;
            Ok(Census { waiting, ..read(&others, rows::census)? })
        })
        .await
    }

    async fn newest_upload(&self) -> Result<Option<OffsetDateTime>, RepositoryError> {
        self.attempt(|| async {
            let row = query("SELECT max(uploaded_at_us) AS newest FROM songs").fetch_one(self.read()).await;
            read(&row.map_err(repository)?, rows::newest)
        })
        .await
    }

    async fn check(&self) -> Result<(), RepositoryError> {
        self.write(|| query(engine::CHECK)).await.map(|_| ())
    }

    async fn space(&self) -> Result<Option<Space>, RepositoryError> {
        engine::space(self).await
    }

    fn webhooks(&self) -> Option<&dyn WebhookRepository> {
        Some(self)
    }
}

/// Adds a hash to the outbox if the plan says so. An existing entry gets a new number and loses its claim: the server
/// that has just published the old entry must not remove the new one.
pub(super) async fn enqueue(step: &mut Connection, plan: UploadPlan, hash: &SongHash) -> Result<(), RepositoryError> {
    if plan == UploadPlan::Enqueue {
        let trace = current().map(|trace| trace.to_string());
        query(engine::ENQUEUE).bind(hash.to_string()).bind(trace).execute(step).await.map_err(repository)?;
    }
    Ok(())
}

/// Changes a song so that it is to be split, and enqueues its job unless its stems exist or another song has it.
pub(super) async fn resubmit(
    store: &Store,
    id: SongId,
    change: impl Fn(&mut Song) -> Result<(), IllegalTransition>,
) -> Result<Option<Song>, RepositoryError> {
    store
        .attempt(|| async {
            // The hash of a song never changes.
            let Some(song) = SongRepository::find(store, id).await? else { return Ok(None) };
            let mut step = store.begin_for(song.hash()).await?;
            let changed = replan(&mut step, song.hash(), id, &change).await?;
            store.check_lock(&mut step, song.hash()).await?;
            store.commit(step).await?;
            Ok(changed)
        })
        .await
}

/// Changes a song of a hash and plans its processing. `None` if there is no such song.
pub(super) async fn replan(
    step: &mut Connection,
    hash: &SongHash,
    id: SongId,
    change: impl Fn(&mut Song) -> Result<(), IllegalTransition>,
) -> Result<Option<Song>, RepositoryError> {
    let mut same_bytes = lock_songs(step, hash).await?;
    let Some(at) = same_bytes.iter().position(|song| song.id() == id) else { return Ok(None) };
    let mut song = same_bytes.swap_remove(at);
    let before = song.target().key;
    change(&mut song).map_err(|_| RepositoryError::Conflict)?;
    let key = song.target().key;
    let stored = result_rows::stored(step, &key).await?;
    let (song, plan) = rules::settle(song, &same_bytes, stored)?;
    put_status(step, &song).await?;
    forget_entry(step, &before).await?;
    enqueue(step, plan, &key).await?;
    webhooks::add_changed(step, &song).await?;
    Ok(Some(song))
}

/// Removes a key from the outbox if no song is to be split with it any more.
pub(super) async fn forget_entry(step: &mut Connection, key: &SongHash) -> Result<(), RepositoryError> {
    const SQL: &str =
        "DELETE FROM outbox WHERE hash = $1 AND NOT EXISTS (SELECT 1 FROM songs WHERE songs.result_key = $1)";
    query(SQL).bind(key.to_string()).execute(step).await.map(|_| ()).map_err(repository)
}

/// Removes a hash from the outbox.
pub(super) async fn dequeue(step: &mut Connection, hash: &SongHash) -> Result<(), RepositoryError> {
    let deleted = query("DELETE FROM outbox WHERE hash = $1").bind(hash.to_string()).execute(step).await;
    deleted.map(|_| ()).map_err(repository)
}

async fn find(connection: &mut Connection, id: SongId) -> Result<Option<Song>, RepositoryError> {
    let row = query(concat!("SELECT ", song_columns!(), " FROM songs WHERE id = $1 AND trashed_at_us IS NULL"))
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(repository)?;
    row.as_ref().map(|row| read(row, rows::song)).transpose()
}

/// Returns the songs with a hash, whose titles cannot change until the end of the transaction.
pub(super) async fn lock_songs(step: &mut Connection, hash: &SongHash) -> Result<Vec<Song>, RepositoryError> {
    let rows = query(engine::LOCK_SONGS).bind(hash.to_string()).fetch_all(step).await.map_err(repository)?;
    read_all(&rows, rows::song)
}

pub(super) async fn put_status(step: &mut Connection, song: &Song) -> Result<(), RepositoryError> {
    let StoredSong { id, status, .. } = song.clone().into();
    const SQL: &str = "\
        UPDATE songs SET status = $2, failure = $3, stems = $4, provenance = $5, model = $6, result_key = $7, \
        wanted_stems = $8, shown_key = $9, shown_model = $10, stem_names = $11 WHERE id = $1";
    query(SQL)
        .bind(id.to_string())
        .bind(status.kind().name())
        .bind(status.failure().map(|reason| reason.as_str().to_owned()))
        .bind(song.stems().formats.name())
        .bind(rules::provenance(song.stems()))
        .bind(song.target().model.map(|model| model.to_string()))
        .bind(song.target().key.to_string())
        .bind(rules::stems(song.target().stems.as_deref()))
        .bind(song.stems().key.map(|key| key.to_string()))
        .bind(song.stems().model.map(|model| model.to_string()))
        .bind(rules::stems(song.stems().names.as_deref()))
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
