//! Migrations, for all engines.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};

/// The table of applied migrations; a queue in the same database has its own.
pub(crate) const TABLE: &str = "store_migrations";

/// A migration: its number, name and SQL.
pub(crate) type Written = (i64, &'static str, &'static str);

/// Returns all migrations of an engine, oldest first.
pub(crate) fn known(written: &[Written]) -> Vec<Migration> {
    let migration = |&(version, name, sql): &Written| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    written.iter().map(migration).collect()
}

/// Returns their display names.
pub(crate) fn names(migrations: &[Migration]) -> Vec<String> {
    migrations.iter().map(|migration| format!("{:04} {}", migration.version, migration.description)).collect()
}

/// Returns the known migrations that are not applied yet.
pub(crate) async fn missing(
    connection: &mut impl Migrate,
    known: Vec<Migration>,
) -> Result<Vec<Migration>, MigrateError> {
    let mut applied = connection.list_applied_migrations(TABLE).await?;
    let mut missing = Vec::new();
    for migration in known {
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
