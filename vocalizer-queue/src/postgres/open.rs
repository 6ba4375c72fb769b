//! Opening the database.

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

/// Which migrations of the queue a database has had; the store in the same database keeps its own list.
const TABLE: &str = "queue_migrations";

/// Every migration, oldest first. One that was released is never changed: what has it already would not get the change.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "jobs", include_str!("../../migrations/postgres/0001_jobs.sql"))];

/// The number of the lock under which one server at a time migrates. The store has another one.
const LOCK: i64 = i64::from_be_bytes(*b"vocajobs");

/// How a queue uses its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresQueueSettings {
    /// How long leases hold, and again each time they are extended: 60 s.
    pub visibility: Duration,
    /// Connections at once, at most: 4. There is one more, which listens.
    pub max_connections: u32,
    /// How long a call waits for a connection to become free, or to be made: 5 s.
    pub acquire_timeout: Duration,
    /// How long a statement may take: 30 s.
    pub statement_timeout: Duration,
    /// How often to look for jobs where no notification comes: 2 s.
    pub poll: Duration,
}

impl Default for PostgresQueueSettings {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(60),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            poll: Duration::from_secs(2),
        }
    }
}

/// Why a queue could not be opened.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    #[error("the database's URL is not of the form postgres://user:password@host:port/database")]
    Url(#[source] BoxError),
    #[error("the queue in the database {place} cannot be used")]
    Database { place: String, source: sqlx::Error },
    #[error("the queue in the database {place} cannot be brought up to date")]
    Migrate { place: String, source: MigrateError },
    #[error("{place} was written by a newer version of Vocalizer: it has migration {version} of the queue")]
    Newer { place: String, version: i64 },
}

/// Where the database is, without its password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
    let database = options.get_database().unwrap_or(options.get_username());
    format!("{database} at {host}:{}", options.get_port())
}

/// The URL, with what every connection of the queue has set.
pub(super) fn options(url: &Secret<String>, settings: &PostgresQueueSettings) -> Result<PgConnectOptions, OpenError> {
    let url = url.expose();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Url("it begins otherwise".into()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.into()))?;
    let name = format!("{} queue", options.get_application_name().unwrap_or("vocalizer"));
    let longest_ms = settings.statement_timeout.as_millis().clamp(1, 0x7fff_ffff).to_string();
    Ok(options.application_name(&name).options([
        // Statements are written for it: each sees what was committed before it began.
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", longest_ms.as_str()),
        // A server that stops in the middle of a transaction holds its locks no longer than that,
        ("idle_in_transaction_session_timeout", longest_ms.as_str()),
        // and one whose machine is gone no longer than a minute.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ]))
}

/// Brings the tables up to date and says what that took. Several servers may do so at once; all of it is done, or nothing.
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
    // Large tables and other servers may take their time.
    query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // A user who may create no tables may still use those that are up to date.
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
