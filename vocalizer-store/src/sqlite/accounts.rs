//! Users, sessions and tokens.

use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use vocalizer_core::account::{
    Account, ApiToken, Invite, PasswordHash, Session, SessionDigest, TokenId, UserId, Username,
};
use vocalizer_core::ports::{AccountRepository, RepositoryError};

use super::error::repository;
use super::open::SqliteStore;
use crate::sql::rows::{self, micros, read, read_all};

#[async_trait]
impl AccountRepository for SqliteStore {
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        insert(&mut step, account).await?;
        step.commit().await
    }

    async fn invite(&self, invite: &Invite) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        query("INSERT INTO invites (digest, expires_at_us) VALUES (?, ?)")
            .bind(&invite.digest.as_bytes()[..])
            .bind(micros(invite.expires_at))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await
    }

    async fn is_invited(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        let row = query("SELECT 1 FROM invites WHERE digest = ? AND expires_at_us > ?")
            .bind(&digest.as_bytes()[..])
            .bind(micros(now))
            .fetch_optional(self.read())
            .await
            .map_err(repository)?;
        Ok(row.is_some())
    }

    async fn insert_invited(
        &self,
        account: &Account,
        invite: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        let mut step = self.write().await?;
        let used = query("DELETE FROM invites WHERE digest = ? AND expires_at_us > ?")
            .bind(&invite.as_bytes()[..])
            .bind(micros(now))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        insert(&mut step, account).await?;
        step.commit().await?;
        Ok(true)
    }

    async fn revoke_invites(&self) -> Result<u64, RepositoryError> {
        let mut step = self.write().await?;
        let revoked = query("DELETE FROM invites").execute(&mut *step).await.map_err(repository)?;
        step.commit().await?;
        Ok(revoked.rows_affected())
    }

    async fn find_by_username(&self, username: &Username) -> Result<Option<Account>, RepositoryError> {
        let row = query("SELECT id, username, password_hash, registered_at_us FROM users WHERE username_key = ?")
            .bind(username.key())
            .fetch_optional(self.read())
            .await
            .map_err(repository)?;
        row.as_ref().map(|row| read(row, rows::account)).transpose()
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, RepositoryError> {
        let row = query("SELECT id, username, password_hash, registered_at_us FROM users WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.read())
            .await
            .map_err(repository)?;
        row.as_ref().map(|row| read(row, rows::account)).transpose()
    }

    async fn change_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        keep: Option<SessionDigest>,
    ) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        let changed = query("UPDATE users SET password_hash = ? WHERE id = ?")
            .bind(password.expose())
            .bind(id.to_string())
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        if changed.rows_affected() == 0 {
            return Err(RepositoryError::Conflict);
        }
        query("DELETE FROM sessions WHERE user_id = ? AND digest IS NOT ?")
            .bind(id.to_string())
            .bind(keep.map(|digest| digest.as_bytes().to_vec()))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await
    }

    async fn open_session(&self, session: &Session) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        query(
            "INSERT INTO sessions (digest, user_id, created_at_us, expires_at_us, token_id, token_name) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&session.digest.as_bytes()[..])
        .bind(session.user.to_string())
        .bind(micros(session.created_at))
        .bind(session.expires_at.map(micros))
        .bind(session.token.as_ref().map(|token| token.id.to_string()))
        .bind(session.token.as_ref().map(|token| token.name.as_str()))
        .execute(&mut *step)
        .await
        .map_err(repository)?;
        step.commit().await
    }

    async fn session(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<Option<Session>, RepositoryError> {
        let row = query(
            "SELECT digest, user_id, created_at_us, expires_at_us, token_id, token_name FROM sessions \
             WHERE digest = ? AND (expires_at_us IS NULL OR expires_at_us > ?)",
        )
        .bind(&digest.as_bytes()[..])
        .bind(micros(now))
        .fetch_optional(self.read())
        .await
        .map_err(repository)?;
        row.as_ref().map(|row| read(row, rows::session)).transpose()
    }

    async fn close_session(&self, digest: SessionDigest) -> Result<(), RepositoryError> {
        let mut step = self.write().await?;
        query("DELETE FROM sessions WHERE digest = ?")
            .bind(&digest.as_bytes()[..])
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await
    }

    async fn close_sessions(&self, user: UserId) -> Result<u64, RepositoryError> {
        let mut step = self.write().await?;
        let closed = query("DELETE FROM sessions WHERE user_id = ?")
            .bind(user.to_string())
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await?;
        Ok(closed.rows_affected())
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, RepositoryError> {
        let rows = query(
            "SELECT token_id, token_name, created_at_us, expires_at_us FROM sessions \
             WHERE user_id = ? AND token_id IS NOT NULL ORDER BY created_at_us DESC, token_id",
        )
        .bind(user.to_string())
        .fetch_all(self.read())
        .await
        .map_err(repository)?;
        read_all(&rows, rows::token)
    }

    async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<bool, RepositoryError> {
        let mut step = self.write().await?;
        let revoked = query("DELETE FROM sessions WHERE user_id = ? AND token_id = ?")
            .bind(user.to_string())
            .bind(id.to_string())
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await?;
        Ok(revoked.rows_affected() > 0)
    }

    async fn forget_expired(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        let mut step = self.write().await?;
        query("DELETE FROM invites WHERE expires_at_us <= ?")
            .bind(micros(now))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        let forgotten = query("DELETE FROM sessions WHERE expires_at_us <= ?")
            .bind(micros(now))
            .execute(&mut *step)
            .await
            .map_err(repository)?;
        step.commit().await?;
        Ok(forgotten.rows_affected())
    }
}

async fn insert(step: &mut SqliteConnection, account: &Account) -> Result<(), RepositoryError> {
    query("INSERT INTO users (id, username, username_key, password_hash, registered_at_us) VALUES (?, ?, ?, ?, ?)")
        .bind(account.id.to_string())
        .bind(account.username.as_str())
        .bind(account.username.key())
        .bind(account.password_hash.expose())
        .bind(micros(account.registered_at))
        .execute(step)
        .await
        .map(|_| ())
        .map_err(repository)
}
