//! What servers agree on beside the songs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{query, query_as, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::ports::{Commons, Heard, Held, RepositoryError};
use vocalizer_core::service::LocalCommons;
use vocalizer_core::song::SongHash;

use super::error::repository;
use super::locks::{Key, Locks};
use super::open::PostgresStore;
use crate::sql::rows::{micros, moment};

/// A word that says nothing new is written down where the last one is as old as this.
const WORD: Duration = Duration::from_secs(5);

/// How long it is remembered that a song was there.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The lock of whoever sweeps, among those of the hashes.
const SWEEP: Key = (i32::from_be_bytes(*b"voca"), i32::from_be_bytes(*b"swep"));

/// What this server knows by itself.
#[derive(Clone)]
pub(super) struct Known {
    locks: Locks,
    /// The locks once more: here their holders are told apart, and wait in their order.
    here: Arc<LocalCommons>,
    sweeping: Arc<tokio::sync::Mutex<()>>,
    /// Words that were not written down, because they said nothing new.
    words: Arc<Mutex<HashMap<SongHash, Heard>>>,
}

impl Known {
    pub(super) fn new(options: &PgConnectOptions, patience: Duration) -> Self {
        let name = format!("{} locks", options.get_application_name().unwrap_or_default());
        Self {
            locks: Locks::new(options.clone().application_name(&name), patience),
            here: Arc::default(),
            sweeping: Arc::default(),
            words: Arc::default(),
        }
    }

    fn words(&self) -> MutexGuard<'_, HashMap<SongHash, Heard>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Commons for PostgresStore {
    async fn lock(&self, hash: &SongHash) -> Result<Held, RepositoryError> {
        let here = self.known.here.lock(hash).await?;
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        let key = (i32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h]));
        let lock = self.known.locks.wait(key).await?;
        // Let go in this order, so that whoever is next here finds it free there.
        Ok(Box::new((lock, here)))
    }

    async fn lock_sweep(&self) -> Result<Option<Held>, RepositoryError> {
        let Ok(here) = Arc::clone(&self.known.sweeping).try_lock_owned() else { return Ok(None) };
        let lock = self.known.locks.take(SWEEP).await?;
        Ok(lock.map(|lock| Box::new((lock, here)) as Held))
    }

    async fn hear(&self, hash: &SongHash, heard: Heard) -> Result<(), RepositoryError> {
        const SQL: &str = "\
            INSERT INTO heard (hash, percent, at_us) VALUES ($1, $2, $3) \
            ON CONFLICT (hash) DO UPDATE SET percent = excluded.percent, at_us = excluded.at_us \
            WHERE heard.percent <> excluded.percent OR heard.at_us <= excluded.at_us - $4";
        let word_us = i64::try_from(WORD.as_micros()).unwrap_or(i64::MAX);
        let statement =
            || query(SQL).bind(hash.to_string()).bind(i16::from(heard.percent)).bind(micros(heard.at)).bind(word_us);
        let written = self.write(statement).await?;
        let mut words = self.known.words();
        words.retain(|known, word| known != hash && heard.at - word.at < WORD);
        if written == 0 {
            words.insert(*hash, heard);
        }
        Ok(())
    }

    async fn heard(&self, hash: &SongHash) -> Result<Option<Heard>, RepositoryError> {
        let row: Option<(i16, i64)> = self
            .attempt(|| async {
                let row = query_as("SELECT percent, at_us FROM heard WHERE hash = $1").bind(hash.to_string());
                row.fetch_optional(&self.pool).await.map_err(repository)
            })
            .await?;
        let Some((percent, at_us)) = row else { return Ok(None) };
        let percent = u8::try_from(percent).map_err(|error| RepositoryError::Corrupt(error.into()))?;
        let at = moment(at_us).map_err(RepositoryError::Corrupt)?;
        let word = self.known.words().get(hash).copied();
        Ok(Some(word.filter(|word| word.percent == percent && word.at > at).unwrap_or(Heard { percent, at })))
    }

    async fn rest(&self, hash: &SongHash) -> Result<(), RepositoryError> {
        self.write(|| query("DELETE FROM heard WHERE hash = $1").bind(hash.to_string())).await.map(|_| ())
    }

    async fn bury(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError> {
        const SQL: &str = "\
            WITH forgotten AS (DELETE FROM heard WHERE hash = $1) \
            INSERT INTO buried (hash, at_us) VALUES ($1, $2) \
            ON CONFLICT (hash) DO UPDATE SET at_us = excluded.at_us";
        self.write(|| query(SQL).bind(hash.to_string()).bind(micros(now))).await.map(|_| ())
    }

    async fn was_there(&self, hash: &SongHash) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            let there = query_scalar("SELECT EXISTS (SELECT 1 FROM buried WHERE hash = $1)").bind(hash.to_string());
            there.fetch_one(&self.pool).await.map_err(repository)
        })
        .await
    }

    async fn tidy(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        const SQL: &str = "\
            WITH forgotten AS (DELETE FROM heard WHERE at_us <= $1) \
            DELETE FROM buried WHERE at_us <= $1";
        self.write(|| query(SQL).bind(micros(now - REMEMBERED))).await.map(|_| ())
    }
}
