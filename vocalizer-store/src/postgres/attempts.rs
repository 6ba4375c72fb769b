//! Login attempts, counted across all servers.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::ports::{Attempts, BoxError, RepositoryError, ThrottleSettings, Tries};

use super::error::repository;
use super::open::PostgresStore;
use crate::sql::rows::{Columns as _, micros, read};

#[async_trait]
impl Attempts for PostgresStore {
    async fn attempt(
        &self,
        key: &str,
        settings: &ThrottleSettings,
        now: OffsetDateTime,
    ) -> Result<Option<Duration>, RepositoryError> {
        // Locks the row, inserting an empty one if it is missing.
        const SQL: &str = "\
            INSERT INTO attempts (key, count, next_us, forgotten_us) VALUES ($1, 0, 0, $2) \
            ON CONFLICT (key) DO UPDATE SET key = excluded.key \
            RETURNING count, next_us, forgotten_us";
        let now_us = micros(now);
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let mut step = reserved.begin().await?;
                let row = query(SQL).bind(key).bind(now_us).fetch_one(&mut *step).await.map_err(repository)?;
                match Tries::after(Some(read(&row, tries)?), settings, now_us) {
                    Err(wait) => Ok(Some(wait)),
                    Ok(after) => {
                        put(&mut step, key, after).await?;
                        reserved.commit(step).await?;
                        Ok(None)
                    }
                }
            })
            .await
    }

    async fn succeed(&self, key: &str) -> Result<(), RepositoryError> {
        self.reserved().write(|| query("DELETE FROM attempts WHERE key = $1").bind(key)).await.map(|_| ())
    }

    async fn take_back(&self, key: &str, now: OffsetDateTime) -> Result<(), RepositoryError> {
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let mut step = reserved.begin().await?;
                let row = query("SELECT count, next_us, forgotten_us FROM attempts WHERE key = $1 FOR UPDATE")
                    .bind(key)
                    .fetch_optional(&mut *step)
                    .await
                    .map_err(repository)?;
                let Some(row) = row else { return Ok(()) };
                put(&mut step, key, read(&row, tries)?.taken_back(micros(now))).await?;
                reserved.commit(step).await
            })
            .await
    }

    async fn forget(&self, now: OffsetDateTime) -> Result<(), RepositoryError> {
        self.reserved()
            .write(|| query("DELETE FROM attempts WHERE forgotten_us <= $1").bind(micros(now)))
            .await
            .map(|_| ())
    }
}

fn tries(row: &PgRow) -> Result<Tries, BoxError> {
    Ok(Tries {
        count: row.number("count")?.try_into()?,
        next_us: row.number("next_us")?,
        forgotten_us: row.number("forgotten_us")?,
    })
}

async fn put(step: &mut PgConnection, key: &str, tries: Tries) -> Result<(), RepositoryError> {
    query("UPDATE attempts SET count = $2, next_us = $3, forgotten_us = $4 WHERE key = $1")
        .bind(key)
        .bind(i64::from(tries.count))
        .bind(tries.next_us)
        .bind(tries.forgotten_us)
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
