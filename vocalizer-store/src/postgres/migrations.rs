//! The migrations of PostgreSQL.

use sqlx::Connection as _;
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::PgConnection;

use crate::sql::migrations::{TABLE, Written, known, missing, names};

/// Every migration, oldest first. One that was released is never changed: what has it already would not get the change.
const MIGRATIONS: [Written; 4] = [
    (1, "songs and users", include_str!("../../migrations/postgres/0001_songs_and_users.sql")),
    (2, "quotas", include_str!("../../migrations/postgres/0002_quotas.sql")),
    (3, "installation", include_str!("../../migrations/postgres/0003_installation.sql")),
    (4, "locks that expire", include_str!("../../migrations/postgres/0004_locks_that_expire.sql")),
];

/// The number of the lock under which one server at a time does this.
const LOCK: i64 = i64::from_be_bytes(*b"vocalize");

/// Applies what is missing, and says what that was: all of it or nothing, and one server at a time.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let mut transaction = connection.begin().await?;
    // Large tables and other servers may take their time.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // One who may make no tables may still use those that are up to date.
    if !listed(&mut transaction).await? {
        transaction.ensure_migrations_table(TABLE).await?;
    }
    let missing = missing(&mut *transaction, known(&MIGRATIONS)).await?;
    for migration in &missing {
        transaction.apply(TABLE, migration).await?;
    }
    transaction.commit().await?;
    Ok(names(&missing))
}

/// What is missing. Writes nothing.
pub(super) async fn pending(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let missing = match listed(connection).await? {
        true => missing(connection, known(&MIGRATIONS)).await?,
        false => known(&MIGRATIONS),
    };
    Ok(names(&missing))
}

async fn listed(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(TABLE).fetch_one(connection).await
}
