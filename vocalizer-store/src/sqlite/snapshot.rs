//! Reading a consistent snapshot of a file, page by page.

use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction, query};
use vocalizer_core::account::{Account, Identity, Invite, Session, ShareLink, UserId};
use vocalizer_core::ports::{AuditEntry, BoxError, PartialUpload, Pending, RepositoryError};
use vocalizer_core::song::{Marker, SongHash, SongId, StemsInfo};
use vocalizer_core::webhook::{Delivery, Webhook};

use super::error::repository;
use super::open::SqliteStore;
use crate::sql::rows::{self, Columns as _, Marks, WholeSong, read, read_all, song_columns};

/// A snapshot of a file, taken at the first page. Each call returns the page after a position, starting with
/// [`Self::START`], or `None` at the end.
pub(crate) struct Snapshot(Transaction<'static, Sqlite>);

impl SqliteStore {
    /// Begins a snapshot.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, RepositoryError> {
        Ok(Snapshot(self.read().begin().await.map_err(repository)?))
    }
}

impl Snapshot {
    /// The position before the first row.
    pub(crate) const START: i64 = i64::MIN;

    pub(crate) async fn accounts(&mut self, after: &mut i64) -> Result<Option<Vec<Account>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, username, password_hash, registered_at_us FROM users \
                           WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::account).await
    }

    pub(crate) async fn marks(&mut self, after: &mut i64) -> Result<Option<Vec<Marks>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, disabled_at_us, administrator_since_us, quota FROM users \
                           WHERE rowid > ? AND (disabled_at_us IS NOT NULL OR administrator_since_us IS NOT NULL \
                           OR quota IS NOT NULL) ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::marks).await
    }

    pub(crate) async fn identities(
        &mut self,
        after: &mut i64,
    ) -> Result<Option<Vec<(UserId, Identity)>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, user_id, issuer, subject FROM identities \
                           WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::identity).await
    }

    pub(crate) async fn audit(&mut self, after: &mut i64) -> Result<Option<Vec<AuditEntry>>, RepositoryError> {
        const SQL: &str = "SELECT number AS place, at_us, actor, action, subject, address, details FROM audit \
                           WHERE number > ? ORDER BY number LIMIT 1000";
        self.page(SQL, after, rows::audit_entry).await
    }

    pub(crate) async fn sessions(&mut self, after: &mut i64) -> Result<Option<Vec<Session>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, digest, user_id, created_at_us, expires_at_us, token_id, token_name \
                           FROM sessions WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::session).await
    }

    pub(crate) async fn invites(&mut self, after: &mut i64) -> Result<Option<Vec<Invite>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, digest, expires_at_us \
                           FROM invites WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::invite).await
    }

    pub(crate) async fn songs(&mut self, after: &mut i64) -> Result<Option<Vec<WholeSong>>, RepositoryError> {
        const SQL: &str = concat!(
            "SELECT rowid AS place, ",
            song_columns!(),
            ", size_bytes, uploader_address, kept_since_us, trashed_at_us, was_waiting FROM songs WHERE rowid > ? ORDER BY rowid LIMIT 1000"
        );
        self.page(SQL, after, rows::whole_song).await
    }

    pub(crate) async fn shares(&mut self, after: &mut i64) -> Result<Option<Vec<ShareLink>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, digest, song_id, created_at_us, expires_at_us, mix \
                           FROM shares WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::share).await
    }

    pub(crate) async fn markers(&mut self, after: &mut i64) -> Result<Option<Vec<(SongId, Marker)>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, song_id, at_ms, name FROM markers \
                           WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::marker).await
    }

    pub(crate) async fn results(
        &mut self,
        after: &mut i64,
    ) -> Result<Option<Vec<(SongHash, StemsInfo)>>, RepositoryError> {
        const SQL: &str = "SELECT number AS place, hash, stems, provenance, shown_key, shown_model, stem_names \
                           FROM results WHERE number > ? ORDER BY number LIMIT 1000";
        self.page(SQL, after, rows::result).await
    }

    pub(crate) async fn uploads(&mut self, after: &mut i64) -> Result<Option<Vec<PartialUpload>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, owner, uploader, size_bytes, received_bytes, fields, song, \
                           expires_at_us FROM uploads WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::upload).await
    }

    pub(crate) async fn priorities(&mut self, after: &mut i64) -> Result<Option<Vec<(UserId, i32)>>, RepositoryError> {
        const SQL: &str =
            "SELECT rowid AS place, user_id, priority FROM priorities WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::priority).await
    }

    pub(crate) async fn webhooks(&mut self, after: &mut i64) -> Result<Option<Vec<Webhook>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, user_id, url, secret, events, created_at_us, failing_since_us, \
                           given_up, disabled_at_us FROM webhooks WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::webhook).await
    }

    pub(crate) async fn deliveries(&mut self, after: &mut i64) -> Result<Option<Vec<Delivery>>, RepositoryError> {
        const SQL: &str = "SELECT rowid AS place, id, webhook_id, event, song, created_at_us, attempts, \
                           first_attempt_at_us, attempted_at_us, next_attempt_at_us, status_code, error \
                           FROM deliveries WHERE rowid > ? ORDER BY rowid LIMIT 1000";
        self.page(SQL, after, rows::delivery).await
    }

    pub(crate) async fn outbox(&mut self, after: &mut i64) -> Result<Option<Vec<Pending>>, RepositoryError> {
        const SQL: &str =
            "SELECT number AS place, number, hash, trace FROM outbox WHERE number > ? ORDER BY number LIMIT 1000";
        self.page(SQL, after, rows::pending).await
    }

    async fn page<T>(
        &mut self,
        sql: &'static str,
        after: &mut i64,
        parse: fn(&SqliteRow) -> Result<T, BoxError>,
    ) -> Result<Option<Vec<T>>, RepositoryError> {
        let rows = query(sql).bind(*after).fetch_all(&mut *self.0).await.map_err(repository)?;
        let Some(last) = rows.last() else { return Ok(None) };
        *after = read(last, |row| Ok(row.number("place")?))?;
        read_all(&rows, parse).map(Some)
    }
}
