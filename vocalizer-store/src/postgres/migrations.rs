//! PostgreSQL migrations.

use sqlx::Connection as _;
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::PgConnection;

use crate::sql::migrations::{TABLE, Written, known, missing, names};

/// All migrations, oldest first. Never change a released one: databases that already have it would not get the change.
const MIGRATIONS: [Written; 4] = [
    (1, "songs and users", include_str!("../../migrations/postgres/0001_songs_and_users.sql")),
    (2, "quotas", include_str!("../../migrations/postgres/0002_quotas.sql")),
    (3, "installation", include_str!("../../migrations/postgres/0003_installation.sql")),
    (4, "locks that expire", include_str!("../../migrations/postgres/0004_locks_that_expire.sql")),
];

/// The advisory lock for migrations.
const LOCK: i64 = i64::from_be_bytes(*b"vocalize");

/// Applies missing migrations in one transaction and returns their names. One server at a time.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let mut transaction = connection.begin().await?;
    // Large tables or other servers may take long.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Do not create the table if it exists: the user may lack permission to create tables.
    if !has_table(&mut transaction).await? {
        transaction.ensure_migrations_table(TABLE).await?;
    }
    let missing = missing(&mut *transaction, known(&MIGRATIONS)).await?;
    for migration in &missing {
        transaction.apply(TABLE, migration).await?;
    }
    transaction.commit().await?;
    Ok(names(&missing))
}

/// Returns the missing migrations without writing anything.
pub(super) async fn pending(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let missing = match has_table(connection).await? {
        true => missing(connection, known(&MIGRATIONS)).await?,
        false => known(&MIGRATIONS),
    };
    Ok(names(&missing))
}

async fn has_table(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(TABLE).fetch_one(connection).await
}
