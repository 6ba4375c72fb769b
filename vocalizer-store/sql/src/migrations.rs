//! Migrations, for all engines.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType};

/// The migrations of one user of a database. Stores and queues in one database have separate ones.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// The table of applied migrations.
    pub table: &'static str,
    /// What their display names begin with.
    pub prefix: &'static str,
    /// Their numbers, names and SQL, oldest first. Never change a released one: databases that already have it would not
    /// get the change.
    pub all: &'static [(i64, &'static str, &'static str)],
}

impl Migrations {
    pub(crate) fn known(&self) -> Vec<Migration> {
        let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
            Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
        };
        self.all.iter().map(migration).collect()
    }

    /// Returns their display names.
    pub(crate) fn names(&self, migrations: &[Migration]) -> Vec<String> {
        let name = |migration: &Migration| format!("{}{:04} {}", self.prefix, migration.version, migration.description);
        migrations.iter().map(name).collect()
    }

    /// Returns the known migrations that are not applied yet.
    pub(crate) async fn missing(&self, connection: &mut impl Migrate) -> Result<Vec<Migration>, MigrateError> {
        let mut applied = connection.list_applied_migrations(self.table).await?;
        let mut missing = Vec::new();
        for migration in self.known() {
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

    /// Applies the missing migrations and returns their names.
    pub(crate) async fn apply(&self, connection: &mut impl Migrate) -> Result<Vec<String>, MigrateError> {
        let missing = self.missing(connection).await?;
        for migration in &missing {
            connection.apply(self.table, migration).await?;
        }
        Ok(self.names(&missing))
    }
}
