//! The [`SqliteStore`] type.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::query_scalar;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::RepositoryError;
use vocalizer_sql::Migrations;
use vocalizer_sql::sqlite::{Database, SqliteError};

use super::error::repository;
use crate::files::disk::new_file;

const MIGRATIONS: Migrations = Migrations {
    table: "store_migrations",
    prefix: "",
    all: &[
        (1, "songs and users", include_str!("../../migrations/sqlite/0001_songs_and_users.sql")),
        (2, "quotas", include_str!("../../migrations/sqlite/0002_quotas.sql")),
        (3, "installation", include_str!("../../migrations/sqlite/0003_installation.sql")),
        (4, "share links", include_str!("../../migrations/sqlite/0004_share_links.sql")),
        (5, "stems", include_str!("../../migrations/sqlite/0005_stems.sql")),
        (6, "webhooks", include_str!("../../migrations/sqlite/0006_webhooks.sql")),
        (7, "resumable uploads", include_str!("../../migrations/sqlite/0007_resumable_uploads.sql")),
        (8, "models", include_str!("../../migrations/sqlite/0008_models.sql")),
        (9, "administration", include_str!("../../migrations/sqlite/0009_administration.sql")),
        (10, "priorities", include_str!("../../migrations/sqlite/0010_priorities.sql")),
        (11, "traces", include_str!("../../migrations/sqlite/0011_traces.sql")),
        (12, "administrators", include_str!("../../migrations/sqlite/0012_administrators.sql")),
        (13, "markers", include_str!("../../migrations/sqlite/0013_markers.sql")),
        (14, "identities", include_str!("../../migrations/sqlite/0014_identities.sql")),
        (15, "trash", include_str!("../../migrations/sqlite/0015_trash.sql")),
        (16, "library", include_str!("../../migrations/sqlite/0016_library.sql")),
        (17, "labels", include_str!("../../migrations/sqlite/0017_labels.sql")),
    ],
};

/// Maximum number of concurrent reads.
const READERS: u32 = 4;

/// Songs, users and the outbox in a SQLite file: a [`SongRepository`](vocalizer_core::ports::SongRepository) and an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository).
///
/// Completed writes are durable. Clones share their connections: one for writing, where writers wait in order, and
/// several for reading, which never wait for writers.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(super) database: Database,
    /// Claimed outbox entries and when the claims expire. In memory, because there is only one process.
    claims: Arc<Mutex<HashMap<i64, OffsetDateTime>>>,
}

impl SqliteStore {
    /// Opens a database and applies migrations. A missing file is created, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open(path: &Path) -> Result<Self, SqliteError> {
        let store = Self::open_without_migrating(path).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database without migrating it, to find out what [`Self::migrate`] would do. All other calls may fail
    /// until it is migrated.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`], [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn open_without_migrating(path: &Path) -> Result<Self, SqliteError> {
        let database = Database::open(path, READERS).await?;
        let store = Self { database, claims: Arc::default() };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// Returns the missing migrations by number and name, oldest first.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, SqliteError> {
        self.database.pending(&MIGRATIONS).await
    }

    /// Applies missing migrations in one transaction and returns their names.
    ///
    /// # Errors
    ///
    /// [`SqliteError::Newer`] or [`SqliteError::Database`].
    pub async fn migrate(&self) -> Result<Vec<String>, SqliteError> {
        self.database.migrate(&MIGRATIONS).await
    }

    /// Writes a consistent copy of the database to a new file, accessible to its owner only. Reads and writes continue
    /// meanwhile. On return the copy is durable.
    ///
    /// # Errors
    ///
    /// [`SqliteError::File`] for the new file, [`SqliteError::Database`].
    pub async fn backup(&self, to: &Path) -> Result<(), SqliteError> {
        let file = |source| SqliteError::File { path: to.to_owned(), source };
        let name = to
            .to_str()
            .ok_or_else(|| file(io::Error::new(io::ErrorKind::InvalidInput, "the file name is not UTF-8")))?;
        // SQLite accepts an existing empty file and keeps its mode.
        new_file(to).map_err(file)?;
        let copied = self.database.copy_to(name).await;
        copied.map_err(|error| SqliteError::Database { path: self.path().to_owned(), source: error.into() })?;
        // SQLite does not sync the copy. No connection has it open yet, so opening it drops no locks.
        let to = to.to_owned();
        // Windows syncs only files that are open for writing.
        let synced = spawn_blocking(move || std::fs::File::options().write(true).open(&to)?.sync_all()).await;
        synced.map_err(io::Error::other).flatten().map_err(file)
    }

    /// Returns the installation ID: created with the database, and the same in a copy of it. Blobs carry the same ID
    /// ([`FileBlobs::claim`](crate::files::FileBlobs::claim)).
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(self.read()).await.map_err(repository)
    }

    /// Closes all connections. The last connection of all processes checkpoints and removes the log.
    pub async fn close(self) {
        self.database.close().await;
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        self.database.path()
    }

    /// Returns the claims on outbox entries.
    pub(super) fn claims(&self) -> MutexGuard<'_, HashMap<i64, OffsetDateTime>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
