//! What operators see and change, and the audit log. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::account::{PasswordHash, UserId, Username};
use vocalizer_core::ports::{
    Administration, AuditEntry, AuditLog, AuditSearch, RepositoryError, SongRecord, SongSearch, UserRecord, UserSearch,
};
use vocalizer_core::quota::QuotaChange;
use vocalizer_core::song::{SongHash, StatusKind};

use super::engine::{Statement, Store, repository};
use crate::sql::rows::{self, micros, read, read_all, song_columns};

/// The columns of [`rows::user_record`].
macro_rules! user_record {
    ($rest:literal) => {
        concat!(
            "SELECT id, username, registered_at_us, disabled_at_us, administrator_since_us, quota, \
             (SELECT count(*) FROM songs WHERE uploader = users.id) AS songs, \
             (SELECT CAST(coalesce(sum(size_bytes), 0) AS BIGINT) FROM songs WHERE uploader = users.id) AS bytes, \
             (SELECT count(*) FROM sessions WHERE user_id = users.id AND token_id IS NULL \
             AND (expires_at_us IS NULL OR expires_at_us > $1)) AS sessions, \
             (SELECT count(*) FROM sessions WHERE user_id = users.id AND token_id IS NOT NULL \
             AND (expires_at_us IS NULL OR expires_at_us > $1)) AS tokens, \
             (SELECT count(*) FROM identities WHERE user_id = users.id) AS identities \
             FROM users ",
            $rest
        )
    };
}

#[async_trait]
impl Administration for Store {
    async fn users(&self, search: &UserSearch) -> Result<Vec<UserRecord>, RepositoryError> {
        const SQL: &str =
            user_record!("WHERE username_key > $2 AND username_key LIKE $3 ESCAPE '!' ORDER BY username_key LIMIT $4");
        let mut pattern = "%".to_owned();
        for letter in search.containing.as_deref().map(Username::key_of_part).unwrap_or_default().chars() {
            if "!%_".contains(letter) {
                pattern.push('!');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        self.attempt(|| async {
            let rows = query(SQL)
                .bind(micros(OffsetDateTime::now_utc()))
                .bind(search.after.as_ref().map(Username::key).unwrap_or_default())
                .bind(&pattern)
                .bind(i64::from(search.limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::user_record)
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>, RepositoryError> {
        const SQL: &str = user_record!("WHERE id = $2");
        self.attempt(|| async {
            let statement = query(SQL).bind(micros(OffsetDateTime::now_utc())).bind(id.to_string());
            let row = statement.fetch_optional(self.read()).await.map_err(repository)?;
            row.as_ref().map(|row| read(row, rows::user_record)).transpose()
        })
        .await
    }

    async fn disable(&self, id: UserId, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            let mut step = self.begin().await?;
            let changed = query("UPDATE users SET disabled_at_us = coalesce(disabled_at_us, $2) WHERE id = $1")
                .bind(id.to_string())
                .bind(micros(now))
                .execute(&mut *step)
                .await
                .map_err(repository)?;
            query("DELETE FROM sessions WHERE user_id = $1")
                .bind(id.to_string())
                .execute(&mut *step)
                .await
                .map_err(repository)?;
            self.commit(step).await?;
            Ok(changed.rows_affected() > 0)
        })
        .await
    }

    async fn enable(&self, id: UserId) -> Result<bool, RepositoryError> {
        const SQL: &str = "UPDATE users SET disabled_at_us = NULL WHERE id = $1";
        Ok(self.write(|| query(SQL).bind(id.to_string())).await? > 0)
    }

    async fn set_administrator(&self, id: UserId, since: Option<OffsetDateTime>) -> Result<bool, RepositoryError> {
        const GRANT: &str =
            "UPDATE users SET administrator_since_us = coalesce(administrator_since_us, $2) WHERE id = $1";
        const REVOKE: &str = "UPDATE users SET administrator_since_us = NULL WHERE id = $1";
        let changed = match since {
            Some(since) => self.write(|| query(GRANT).bind(id.to_string()).bind(micros(since))).await?,
            None => self.write(|| query(REVOKE).bind(id.to_string())).await?,
        };
        Ok(changed > 0)
    }

    async fn set_password(&self, id: UserId, password: &PasswordHash) -> Result<bool, RepositoryError> {
        const SQL: &str = "UPDATE users SET password_hash = $2 WHERE id = $1";
        Ok(self.write(|| query(SQL).bind(id.to_string()).bind(password.expose().to_owned())).await? > 0)
    }

    async fn set_quota(&self, id: UserId, quota: &QuotaChange) -> Result<bool, RepositoryError> {
        let quota = match quota == &QuotaChange::default() {
            true => None,
            false => Some(serde_json::to_string(quota).map_err(|error| RepositoryError::Corrupt(error.into()))?),
        };
        const SQL: &str = "UPDATE users SET quota = $2 WHERE id = $1";
        Ok(self.write(|| query(SQL).bind(id.to_string()).bind(quota.clone())).await? > 0)
    }

    async fn songs(&self, search: &SongSearch) -> Result<Vec<SongRecord>, RepositoryError> {
        const SQL: &str = concat!(
            "SELECT ",
            song_columns!(),
            ", size_bytes, (SELECT username FROM users WHERE users.id = songs.uploader) AS username, \
             (SELECT count(*) FROM outbox WHERE outbox.hash = songs.result_key) AS pending FROM songs \
             WHERE ($1 IS NULL OR uploader = $1) AND ($2 IS NULL OR status = $2) \
             AND uploaded_at_us <= $3 AND (uploaded_at_us < $3 OR id > $4) \
             ORDER BY uploaded_at_us DESC, id LIMIT $5"
        );
        let (before_us, after_id) = match search.after {
            Some(cursor) => (cursor.uploaded_at_us, cursor.id.to_string()),
            None => (i64::MAX, String::new()),
        };
        self.attempt(|| async {
            let rows = query(SQL)
                .bind(search.user.map(|user| user.to_string()))
                .bind(search.status.map(StatusKind::name))
                .bind(before_us)
                .bind(&after_id)
                .bind(i64::from(search.limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            read_all(&rows, rows::song_record)
        })
        .await
    }

    async fn request_erasure(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError> {
        const SQL: &str = "INSERT INTO erasures (hash, at_us) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
        self.write(|| query(SQL).bind(hash.to_string()).bind(micros(now))).await.map(|_| ())
    }

    async fn hold(&self, held: bool, now: OffsetDateTime) -> Result<(), RepositoryError> {
        const HOLD: &str = "INSERT INTO job_hold (one, since_us) VALUES (1, $1) ON CONFLICT (one) DO NOTHING";
        match held {
            true => self.write(|| query(HOLD).bind(micros(now))).await?,
            false => self.write(|| query("DELETE FROM job_hold")).await?,
        };
        Ok(())
    }
}

#[async_trait]
impl AuditLog for Store {
    async fn record(&self, entry: &AuditEntry) -> Result<(), RepositoryError> {
        self.reserved().write(|| insert_entry(entry)).await.map(|_| ())
    }

    async fn entries(&self, search: &AuditSearch) -> Result<Vec<AuditEntry>, RepositoryError> {
        const SQL: &str = "\
            SELECT at_us, actor, action, subject, address, details FROM audit \
            WHERE at_us >= $1 ORDER BY number DESC LIMIT $2";
        self.attempt(|| async {
            let statement = query(SQL).bind(micros(search.since)).bind(i64::from(search.limit));
            let rows = statement.fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::audit_entry)
        })
        .await
    }

    async fn forget_entries(&self, before: OffsetDateTime, most: u64) -> Result<(), RepositoryError> {
        const OLD: &str = "DELETE FROM audit WHERE at_us < $1";
        const EXCESS: &str = "DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - $1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.write(|| query(OLD).bind(micros(before))).await?;
        self.write(|| query(EXCESS).bind(most)).await.map(|_| ())
    }
}

impl Store {
    /// Returns a user's part of [`SongRepository`](vocalizer_core::ports::SongRepository).
    pub(super) async fn read_quota(&self, user: UserId) -> Result<QuotaChange, RepositoryError> {
        self.attempt(|| async {
            let quota: Option<Option<String>> = query_scalar("SELECT quota FROM users WHERE id = $1")
                .bind(user.to_string())
                .fetch_optional(self.read())
                .await
                .map_err(repository)?;
            rows::quota(quota.flatten().as_deref()).map_err(RepositoryError::Corrupt)
        })
        .await
    }

    pub(super) async fn read_hold(&self) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            let held = query("SELECT 1 FROM job_hold").fetch_optional(self.read()).await.map_err(repository)?;
            Ok(held.is_some())
        })
        .await
    }

    pub(super) async fn read_erasures(&self, limit: u32) -> Result<Vec<SongHash>, RepositoryError> {
        self.attempt(|| async {
            let statement = query("SELECT hash FROM erasures ORDER BY at_us, hash LIMIT $1").bind(i64::from(limit));
            read_all(&statement.fetch_all(self.read()).await.map_err(repository)?, rows::hash)
        })
        .await
    }
}

/// Returns the statement that adds an entry to the audit log.
pub(super) fn insert_entry(entry: &AuditEntry) -> Statement {
    query("INSERT INTO audit (at_us, actor, action, subject, address, details) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(micros(entry.at))
        .bind(entry.actor.clone())
        .bind(entry.action.clone())
        .bind(entry.subject.clone())
        .bind(entry.address.clone())
        .bind(entry.details.clone())
}
