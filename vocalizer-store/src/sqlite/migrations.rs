//! What has become of the tables, step by step.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

/// Which migrations a file has had; the queue in the same file keeps its own list.
const TABLE: &str = "store_migrations";

/// Every migration, oldest first. One that was released is never changed: what has it already would not get the change.
const MIGRATIONS: [(i64, &str, &str); 1] =
    [(1, "songs and users", include_str!("../../migrations/sqlite/0001_songs_and_users.sql"))];

/// Applies what is missing, and says what that was: all of it or nothing, and one process at a time, by SQLite's own
/// lock.
pub(super) async fn apply(pool: &SqlitePool) -> Result<Vec<String>, MigrateError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    transaction.ensure_migrations_table(TABLE).await?;
    let missing = missing(&mut transaction).await?;
    for migration in &missing {
        transaction.apply(TABLE, migration).await?;
    }
    transaction.commit().await?;
    Ok(missing.iter().map(name).collect())
}

/// What is missing. Writes nothing.
pub(super) async fn pending(pool: &SqlitePool) -> Result<Vec<String>, MigrateError> {
    let mut connection = pool.acquire().await?;
    let listed: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await?;
    let missing = match listed {
        Some(_) => missing(&mut connection).await?,
        None => known().collect(),
    };
    Ok(missing.iter().map(name).collect())
}

fn known() -> impl Iterator<Item = Migration> {
    MIGRATIONS.into_iter().map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    })
}

fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

async fn missing(connection: &mut SqliteConnection) -> Result<Vec<Migration>, MigrateError> {
    let mut applied = connection.list_applied_migrations(TABLE).await?;
    let mut missing = Vec::new();
    for migration in known() {
        match applied.iter().position(|applied| applied.version == migration.version) {
            Some(at) if applied.swap_remove(at).checksum == migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
            None => missing.push(migration),
        }
    }
    match applied.first() {
        Some(newer) => Err(MigrateError::VersionMissing(newer.version)),
        None => Ok(missing),
    }
}
