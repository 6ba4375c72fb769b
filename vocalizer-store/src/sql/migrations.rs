//! What has become of the tables, step by step.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};

/// Which migrations a database has had; a queue in the same place keeps its own list.
pub(crate) const TABLE: &str = "store_migrations";

/// A migration as it is written down: its number, its name and its SQL.
pub(crate) type Written = (i64, &'static str, &'static str);

/// Every migration of an engine, oldest first.
pub(crate) fn known(written: &[Written]) -> Vec<Migration> {
    let migration = |&(version, name, sql): &Written| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    written.iter().map(migration).collect()
}

/// What people call them.
pub(crate) fn names(migrations: &[Migration]) -> Vec<String> {
    migrations.iter().map(|migration| format!("{:04} {}", migration.version, migration.description)).collect()
}

/// Which of the known ones a database lacks that has the list.
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
