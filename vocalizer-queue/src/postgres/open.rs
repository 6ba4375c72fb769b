//! Connection options and migrations.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, SqlSafeStr as _, query, query_scalar};
use thiserror::Error;
use tokio::time::timeout;
use vocalizer_core::ports::BoxError;
use vocalizer_core::secret::Secret;

use super::connections::timed_out;
use super::settings::PostgresQueueSettings;

/// The table of applied queue migrations; the store in the same database has its own.
const TABLE: &str = "queue_migrations";

/// All migrations, oldest first. Never change a released one: databases that already have it would not get the change.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "jobs", include_str!("../../migrations/postgres/0001_jobs.sql"))];

/// The advisory lock for migrations. The store uses another number.
const LOCK: i64 = i64::from_be_bytes(*b"vocajobs");

/// An error from opening a queue.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    #[error("invalid database URL; use postgres://user:password@host:port/database")]
    Url(#[source] BoxError),
    #[error("cannot use the queue in the database {place}")]
    Database { place: String, source: sqlx::Error },
    #[error("cannot migrate the queue in the database {place}")]
    Migrate { place: String, source: MigrateError },
    #[error("{place} was written by a newer version of Vocalizer (queue migration {version}); upgrade this program")]
    Newer { place: String, version: i64 },
}

/// Describes the database, without credentials.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
    let database = options.get_database().unwrap_or(options.get_username());
    format!("{database} at {host}:{}", options.get_port())
}

/// Parses the URL and adds the session settings of the queue.
pub(super) fn options(url: &Secret<String>, settings: &PostgresQueueSettings) -> Result<PgConnectOptions, OpenError> {
    let url = url.expose();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Url("unsupported scheme".into()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.into()))?;
    let name = format!("{} queue", options.get_application_name().unwrap_or("vocalizer"));
    let timeout_ms = settings.statement_timeout.as_millis().clamp(1, 0x7fff_ffff).to_string();
    Ok(options.application_name(&name).options([
        // The statements rely on it: each sees what was committed before it began.
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", timeout_ms.as_str()),
        // Releases the locks of a server that hangs in a transaction,
        ("idle_in_transaction_session_timeout", timeout_ms.as_str()),
        // and within a minute those of a server whose machine is gone.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ]))
}

/// Applies missing migrations in one transaction and returns their names. Several servers may do so at once.
pub(super) async fn migrate(options: &PgConnectOptions, patience: Duration) -> Result<Vec<String>, OpenError> {
    connect_and_apply(options, patience).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => OpenError::Newer { place: place(options), version },
        MigrateError::Execute(source) => OpenError::Database { place: place(options), source },
        source => OpenError::Migrate { place: place(options), source },
    })
}

async fn connect_and_apply(options: &PgConnectOptions, patience: Duration) -> Result<Vec<String>, MigrateError> {
    let connected = timeout(patience, PgConnection::connect_with(options)).await;
    let mut connection = connected.unwrap_or_else(|_| Err(timed_out()))?;
    let applied = apply(&mut connection).await?;
    connection.close().await?;
    Ok(applied)
}

async fn apply(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    let mut transaction = connection.begin().await?;
    // Large tables or other servers may take long.
    query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Do not create the table if it exists: the user may lack permission to create tables.
    let is_listed: bool =
        query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(TABLE).fetch_one(&mut *transaction).await?;
    if !is_listed {
        transaction.ensure_migrations_table(TABLE).await?;
    }
    let applied = transaction.list_applied_migrations(TABLE).await?;
    if let Some(newer) = applied.iter().find(|applied| MIGRATIONS.iter().all(|(known, ..)| *known != applied.version)) {
        return Err(MigrateError::VersionMissing(newer.version));
    }
    let mut done = Vec::new();
    for (version, name, sql) in MIGRATIONS {
        if applied.iter().all(|applied| applied.version != version) {
            let sql = sql.into_sql_str();
            let migration = Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false);
            transaction.apply(TABLE, &migration).await?;
            done.push(format!("queue {version:04} {name}"));
        }
    }
    transaction.commit().await?;
    Ok(done)
}
