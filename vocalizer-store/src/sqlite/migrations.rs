//! SQLite migrations.

use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::sqlite::SqlitePool;

use crate::sql::migrations::{TABLE, Written, known, missing, names};

/// All migrations, oldest first. Never change a released one: databases that already have it would not get the change.
const MIGRATIONS: [Written; 3] = [
    (1, "songs and users", include_str!("../../migrations/sqlite/0001_songs_and_users.sql")),
    (2, "quotas", include_str!("../../migrations/sqlite/0002_quotas.sql")),
    (3, "installation", include_str!("../../migrations/sqlite/0003_installation.sql")),
];

/// Applies missing migrations in one transaction and returns their names. SQLite's lock admits one process at a time.
pub(super) async fn apply(pool: &SqlitePool) -> Result<Vec<String>, MigrateError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    transaction.ensure_migrations_table(TABLE).await?;
    let missing = missing(&mut *transaction, known(&MIGRATIONS)).await?;
    for migration in &missing {
        transaction.apply(TABLE, migration).await?;
    }
    transaction.commit().await?;
    Ok(names(&missing))
}

/// Returns the missing migrations without writing anything.
pub(super) async fn pending(pool: &SqlitePool) -> Result<Vec<String>, MigrateError> {
    let mut connection = pool.acquire().await?;
    let listed: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await?;
    let missing = match listed {
        Some(_) => missing(&mut *connection, known(&MIGRATIONS)).await?,
        None => known(&MIGRATIONS),
    };
    Ok(names(&missing))
}
