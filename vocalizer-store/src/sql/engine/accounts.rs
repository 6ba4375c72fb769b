//! Users, sessions and tokens. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::query;
use time::OffsetDateTime;
use vocalizer_core::account::{
    Account, ApiToken, Identity, Invite, PasswordHash, Session, SessionDigest, TokenId, UserId, Username,
};
use vocalizer_core::ports::{AccountRepository, RepositoryError};

use super::engine::{Statement, Store, repository};
use crate::sql::rows::{self, micros, read, read_all};

#[async_trait]
impl AccountRepository for Store {
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError> {
        self.reserved().write(|| insert_account(account)).await.map(|_| ())
    }

    async fn invite(&self, invite: &Invite) -> Result<(), RepositoryError> {
        self.reserved().write(|| insert_invite(invite)).await.map(|_| ())
    }

    async fn is_invited(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        const SQL: &str = "SELECT 1 FROM invites WHERE digest = $1 AND expires_at_us > $2";
        self.attempt(|| async {
            let statement = query(SQL).bind(&digest.as_bytes()[..]).bind(micros(now));
            Ok(statement.fetch_optional(self.read()).await.map_err(repository)?.is_some())
        })
        .await
    }

    async fn insert_invited(
        &self,
        account: &Account,
        invite: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        const SQL: &str = "DELETE FROM invites WHERE digest = $1 AND expires_at_us > $2";
        self.attempt(|| async {
            let mut step = self.begin().await?;
            let used = query(SQL).bind(&invite.as_bytes()[..]).bind(micros(now)).execute(&mut *step).await;
            if used.map_err(repository)?.rows_affected() == 0 {
                return Ok(false);
            }
            insert_account(account).execute(&mut *step).await.map_err(repository)?;
            self.commit(step).await?;
            Ok(true)
        })
        .await
    }

    async fn revoke_invites(&self) -> Result<u64, RepositoryError> {
        self.reserved().write(|| query("DELETE FROM invites")).await
    }

    async fn find_by_username(&self, username: &Username) -> Result<Option<Account>, RepositoryError> {
        const SQL: &str = "SELECT id, username, password_hash, registered_at_us FROM users WHERE username_key = $1";
        self.account(|| query(SQL).bind(username.key())).await
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, RepositoryError> {
        const SQL: &str = "SELECT id, username, password_hash, registered_at_us FROM users WHERE id = $1";
        self.account(|| query(SQL).bind(id.to_string())).await
    }

    async fn find_by_identity(&self, identity: &Identity) -> Result<Option<Account>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, username, password_hash, registered_at_us FROM users \
            WHERE id = (SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2)";
        self.account(|| query(SQL).bind(identity.issuer.clone()).bind(identity.subject.clone())).await
    }

    async fn insert_identified(&self, account: &Account, identity: &Identity) -> Result<(), RepositoryError> {
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let mut step = reserved.begin().await?;
                insert_account(account).execute(&mut *step).await.map_err(repository)?;
                if insert_identity(account.id, identity).execute(&mut *step).await.map_err(repository)?.rows_affected()
                    == 0
                {
                    return Err(RepositoryError::Conflict);
                }
                reserved.commit(step).await
            })
            .await
    }

    async fn link_identity(&self, user: UserId, identity: &Identity) -> Result<(), RepositoryError> {
        match self.reserved().write(|| insert_identity(user, identity)).await? {
            0 => Err(RepositoryError::Conflict),
            _ => Ok(()),
        }
    }

    async fn identities(&self, user: UserId) -> Result<Vec<Identity>, RepositoryError> {
        const SQL: &str = "SELECT user_id, issuer, subject FROM identities WHERE user_id = $1 ORDER BY issuer, subject";
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let rows = query(SQL).bind(user.to_string()).fetch_all(reserved.read()).await.map_err(repository)?;
                let identities = read_all(&rows, rows::identity)?;
                Ok(identities.into_iter().map(|(_, identity)| identity).collect())
            })
            .await
    }

    async fn unlink_identities(&self, user: UserId) -> Result<u64, RepositoryError> {
        const SQL: &str = "DELETE FROM identities WHERE user_id = $1";
        self.reserved().write(|| query(SQL).bind(user.to_string())).await
    }

    async fn is_disabled(&self, id: UserId) -> Result<bool, RepositoryError> {
        const SQL: &str = "SELECT 1 FROM users WHERE id = $1 AND disabled_at_us IS NOT NULL";
        self.is_user(SQL, id).await
    }

    async fn is_administrator(&self, id: UserId) -> Result<bool, RepositoryError> {
        const SQL: &str =
            "SELECT 1 FROM users WHERE id = $1 AND administrator_since_us IS NOT NULL AND disabled_at_us IS NULL";
        self.is_user(SQL, id).await
    }

    async fn change_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        keep: Option<SessionDigest>,
    ) -> Result<(), RepositoryError> {
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let mut step = reserved.begin().await?;
                let changed = query("UPDATE users SET password_hash = $2 WHERE id = $1")
                    .bind(id.to_string())
                    .bind(password.expose())
                    .execute(&mut *step)
                    .await
                    .map_err(repository)?;
                if changed.rows_affected() == 0 {
                    return Err(RepositoryError::Conflict);
                }
                query("DELETE FROM sessions WHERE user_id = $1 AND digest IS DISTINCT FROM $2")
                    .bind(id.to_string())
                    .bind(keep.map(|digest| digest.as_bytes().to_vec()))
                    .execute(&mut *step)
                    .await
                    .map_err(repository)?;
                reserved.commit(step).await
            })
            .await
    }

    async fn open_session(&self, session: &Session) -> Result<(), RepositoryError> {
        self.reserved().write(|| insert_session(session)).await.map(|_| ())
    }

    async fn session(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<Option<Session>, RepositoryError> {
        const SQL: &str = "\
            SELECT digest, user_id, created_at_us, expires_at_us, token_id, token_name FROM sessions \
            WHERE digest = $1 AND (expires_at_us IS NULL OR expires_at_us > $2) \
            AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id AND disabled_at_us IS NOT NULL)";
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let row = query(SQL)
                    .bind(&digest.as_bytes()[..])
                    .bind(micros(now))
                    .fetch_optional(reserved.read())
                    .await
                    .map_err(repository)?;
                row.as_ref().map(|row| read(row, rows::session)).transpose()
            })
            .await
    }

    async fn close_session(&self, digest: SessionDigest) -> Result<(), RepositoryError> {
        self.reserved()
            .write(|| query("DELETE FROM sessions WHERE digest = $1").bind(&digest.as_bytes()[..]))
            .await
            .map(|_| ())
    }

    async fn close_sessions(&self, user: UserId) -> Result<u64, RepositoryError> {
        self.reserved().write(|| query("DELETE FROM sessions WHERE user_id = $1").bind(user.to_string())).await
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, RepositoryError> {
        const SQL: &str = "\
            SELECT token_id, token_name, created_at_us, expires_at_us FROM sessions \
            WHERE user_id = $1 AND token_id IS NOT NULL ORDER BY created_at_us DESC, token_id";
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let rows = query(SQL).bind(user.to_string()).fetch_all(reserved.read()).await.map_err(repository)?;
                read_all(&rows, rows::token)
            })
            .await
    }

    async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<bool, RepositoryError> {
        const SQL: &str = "DELETE FROM sessions WHERE user_id = $1 AND token_id = $2";
        let revoked = self.reserved().write(|| query(SQL).bind(user.to_string()).bind(id.to_string())).await?;
        Ok(revoked > 0)
    }

    async fn forget_expired(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        let reserved = self.reserved();
        reserved.write(|| query("DELETE FROM invites WHERE expires_at_us <= $1").bind(micros(now))).await?;
        reserved.write(|| query("DELETE FROM sessions WHERE expires_at_us <= $1").bind(micros(now))).await
    }
}

impl Store {
    /// Returns whether a statement on users has a row for one.
    async fn is_user(&self, sql: &'static str, id: UserId) -> Result<bool, RepositoryError> {
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let row = query(sql).bind(id.to_string()).fetch_optional(reserved.read()).await.map_err(repository)?;
                Ok(row.is_some())
            })
            .await
    }

    async fn account(&self, statement: impl Fn() -> Statement) -> Result<Option<Account>, RepositoryError> {
        let reserved = self.reserved();
        reserved
            .attempt(|| async {
                let row = statement().fetch_optional(reserved.read()).await.map_err(repository)?;
                row.as_ref().map(|row| read(row, rows::account)).transpose()
            })
            .await
    }
}

/// Returns the statement that inserts an account.
pub(super) fn insert_account(account: &Account) -> Statement {
    query("INSERT INTO users (id, username, username_key, password_hash, registered_at_us) VALUES ($1, $2, $3, $4, $5)")
        .bind(account.id.to_string())
        .bind(account.username.as_str())
        .bind(account.username.key())
        .bind(account.password_hash.expose())
        .bind(micros(account.registered_at))
}

/// Returns the statement that links an identity to a user. It changes no row if the identity is linked to another one.
pub(super) fn insert_identity(user: UserId, identity: &Identity) -> Statement {
    query(
        "INSERT INTO identities (issuer, subject, user_id) VALUES ($1, $2, $3) \
         ON CONFLICT (issuer, subject) DO UPDATE SET user_id = excluded.user_id \
         WHERE identities.user_id = excluded.user_id",
    )
    .bind(identity.issuer.clone())
    .bind(identity.subject.clone())
    .bind(user.to_string())
}

/// Returns the statement that inserts an invite.
pub(super) fn insert_invite(invite: &Invite) -> Statement {
    query("INSERT INTO invites (digest, expires_at_us) VALUES ($1, $2)")
        .bind(invite.digest.as_bytes().to_vec())
        .bind(micros(invite.expires_at))
}

/// Returns the statement that inserts a session or a token.
pub(super) fn insert_session(session: &Session) -> Statement {
    query(
        "INSERT INTO sessions (digest, user_id, created_at_us, expires_at_us, token_id, token_name) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&session.digest.as_bytes()[..])
    .bind(session.user.to_string())
    .bind(micros(session.created_at))
    .bind(session.expires_at.map(micros))
    .bind(session.token.as_ref().map(|token| token.id.to_string()))
    .bind(session.token.as_ref().map(|token| token.name.as_str()))
}
