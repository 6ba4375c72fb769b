//! The [`PostgresStore`] type.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::query_scalar;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::secret::Secret;
use vocalizer_sql::Migrations;
use vocalizer_sql::postgres::{Database, PostgresError};

use super::commits::Commits;
use super::error::repository;
use super::local_state::LocalState;

const MIGRATIONS: Migrations = Migrations {
    table: "store_migrations",
    prefix: "",
    all: &[
        (1, "songs and users", include_str!("../../migrations/postgres/0001_songs_and_users.sql")),
        (2, "quotas", include_str!("../../migrations/postgres/0002_quotas.sql")),
        (3, "installation", include_str!("../../migrations/postgres/0003_installation.sql")),
        (4, "locks that expire", include_str!("../../migrations/postgres/0004_locks_that_expire.sql")),
        (5, "share links", include_str!("../../migrations/postgres/0005_share_links.sql")),
        (6, "stems", include_str!("../../migrations/postgres/0006_stems.sql")),
        (7, "webhooks", include_str!("../../migrations/postgres/0007_webhooks.sql")),
        (8, "resumable uploads", include_str!("../../migrations/postgres/0008_resumable_uploads.sql")),
        (9, "models", include_str!("../../migrations/postgres/0009_models.sql")),
        (10, "administration", include_str!("../../migrations/postgres/0010_administration.sql")),
        (11, "priorities", include_str!("../../migrations/postgres/0011_priorities.sql")),
        (12, "traces", include_str!("../../migrations/postgres/0012_traces.sql")),
        (13, "administrators", include_str!("../../migrations/postgres/0013_administrators.sql")),
        (14, "markers", include_str!("../../migrations/postgres/0014_markers.sql")),
        (15, "identities", include_str!("../../migrations/postgres/0015_identities.sql")),
        (16, "trash", include_str!("../../migrations/postgres/0016_trash.sql")),
        (17, "library", include_str!("../../migrations/postgres/0017_library.sql")),
        (18, "labels", include_str!("../../migrations/postgres/0018_labels.sql")),
    ],
};

/// The advisory lock for migrations.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"vocalize");

/// Settings of a [`PostgresStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Maximum number of connections for songs. Default: 10. Half as many more, at least two, are reserved for users
    /// and locks, so that logins do not wait for songs.
    pub max_connections: u32,
    /// Timeout for getting a connection. Default: 5 s.
    pub acquire_timeout: Duration,
    /// Statement timeout. Default: 30 s. The timeout of a call is the sum of both.
    pub statement_timeout: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// Maximum statement timeout for locks, which last only slightly longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Songs, users, the outbox and shared server state in a PostgreSQL database: a
/// [`SongRepository`](vocalizer_core::ports::SongRepository), an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository), [`Coordination`](vocalizer_core::ports::Coordination) and
/// [`Attempts`](vocalizer_core::ports::Attempts).
///
/// Any number of servers may open one database. Completed writes are as durable as the database is configured. Clones
/// share their connections. Without a connection, calls fail with
/// [`Unavailable`](vocalizer_core::ports::RepositoryError::Unavailable); they work again as soon as the database is
/// back.
#[derive(Clone)]
pub struct PostgresStore {
    database: Database,
    pub(super) settings: PostgresSettings,
    pub(super) pool: PgPool,
    /// Reserved for users and locks.
    reserved: PgPool,
    pub(super) commits: Commits,
    pub(super) local_state: LocalState,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.database.place())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a database and applies migrations; several servers may do so at once.
    ///
    /// The URL has the form `postgres://user:password@host:port/database`. Connections to other machines use TLS with a
    /// certificate that this machine trusts (`sslmode=verify-full`), unless the URL or `PGSSLMODE` says otherwise:
    /// `sslrootcert=FILE` sets another CA, `sslmode=disable` turns TLS off. Missing parts of the URL come from
    /// PostgreSQL's environment variables, such as `PGPASSWORD`.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`].
    pub async fn open(url: &Secret<String>, settings: PostgresSettings) -> Result<Self, PostgresError> {
        let store = Self::open_without_migrating(url, settings).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database without changing it, to find out what [`Self::migrate`] would do. All other calls may fail
    /// until it is migrated.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`].
    pub async fn open_without_migrating(
        url: &Secret<String>,
        settings: PostgresSettings,
    ) -> Result<Self, PostgresError> {
        let database = Database::new(url, "", settings.acquire_timeout, settings.statement_timeout)?;
        let pool = database.pool(settings.max_connections);
        let reserved = database.pool((settings.max_connections / 2).max(2));
        let local_state = LocalState::new(reserved.clone(), settings.acquire_timeout.min(LOCK_PATIENCE));
        let store = Self { database, settings, pool, reserved, commits: Commits::default(), local_state };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// Returns the missing migrations by number and name, oldest first.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, PostgresError> {
        self.database.pending(&MIGRATIONS).await
    }

    /// Applies missing migrations in one transaction and returns their names. Of concurrent callers, one applies them
    /// and the others wait.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn migrate(&self) -> Result<Vec<String>, PostgresError> {
        self.database.migrate(&MIGRATIONS, MIGRATION_LOCK).await
    }

    /// Returns the installation ID: created with the database, and the same in a copy of it. Blobs carry the same ID.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(&self.pool).await.map_err(repository)
    }

    /// Returns the same store with the reserved connections, for calls that must not wait for songs.
    pub(super) fn reserved(&self) -> Self {
        Self { pool: self.reserved.clone(), ..self.clone() }
    }
}
