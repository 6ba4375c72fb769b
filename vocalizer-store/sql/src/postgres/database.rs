//! Connecting to a database.

use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, query, query_scalar};
use tokio::time::timeout;
use vocalizer_api::secret::Secret;

use super::error::{PostgresError, timed_out};
use crate::migrations::Migrations;

/// A database and how to connect to it.
#[derive(Clone)]
pub struct Database {
    place: String,
    options: PgConnectOptions,
    patience: Duration,
}

impl Database {
    /// Parses a URL of the form `postgres://user:password@host:port/database`. Does not connect.
    ///
    /// Connections to other machines use TLS with a certificate that this machine trusts (`sslmode=verify-full`), unless
    /// the URL or `PGSSLMODE` says otherwise. `name_end` is appended to the name of the connections. `patience` is the
    /// timeout for getting a connection.
    ///
    /// # Errors
    ///
    /// [`PostgresError::Url`].
    pub fn new(
        url: &Secret<String>,
        name_end: &str,
        patience: Duration,
        statement_timeout: Duration,
    ) -> Result<Self, PostgresError> {
        let options = options(url.expose(), name_end, statement_timeout)?;
        let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
        let database = options.get_database().unwrap_or(options.get_username());
        Ok(Self { place: format!("{database} at {host}:{}", options.get_port()), options, patience })
    }

    /// Describes the database, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the connection options.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Returns a pool that connects on demand and reuses only healthy connections.
    #[must_use]
    pub fn pool(&self, max_connections: u32) -> PgPool {
        let patience = self.patience;
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(patience)
            // Detects connections that broke while idle, for example in a restart of the database.
            .test_before_acquire(true)
            // Discards connections that stopped responding. Otherwise they would count as in use until the system gives up
            // on them, after about 15 minutes.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    let pinged = timeout(patience, connection.ping()).await;
                    pinged.unwrap_or_else(|_| Err(timed_out())).map(|()| true)
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// Returns the names of the missing migrations, oldest first, without writing anything.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn pending(&self, migrations: &Migrations) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let pending = pending(&mut connection, migrations).await;
        self.close(connection, migrations, pending).await
    }

    /// Applies missing migrations in one transaction and returns their names. Of concurrent callers with the same `lock`,
    /// the number of an advisory lock, one applies them and the others wait.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn migrate(&self, migrations: &Migrations, lock: i64) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let applied = apply(&mut connection, migrations, lock).await;
        self.close(connection, migrations, applied).await
    }

    /// Opens a connection outside a pool, which would hide the cause of a failure.
    async fn connect(&self) -> Result<PgConnection, PostgresError> {
        let connected = timeout(self.patience, PgConnection::connect_with(&self.options)).await;
        let connected = connected.unwrap_or_else(|_| Err(timed_out()));
        connected.map_err(|error| PostgresError::of(error, &self.place, self.options.get_username()))
    }

    /// Closes the connection cleanly and returns the result of its use.
    async fn close<T>(
        &self,
        connection: PgConnection,
        migrations: &Migrations,
        used: Result<T, MigrateError>,
    ) -> Result<T, PostgresError> {
        let _ = timeout(self.patience, connection.close()).await;
        let user = self.options.get_username();
        used.map_err(|error| PostgresError::of_migration(error, migrations.table, &self.place, user))
    }
}

async fn apply(connection: &mut PgConnection, migrations: &Migrations, lock: i64) -> Result<Vec<String>, MigrateError> {
    let mut transaction = connection.begin().await?;
    // Large tables or other servers may take long.
    query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(lock).execute(&mut *transaction).await?;
    // Do not create the table if it exists: the user may lack permission to create tables.
    if !has_table(&mut transaction, migrations.table).await? {
        transaction.ensure_migrations_table(migrations.table).await?;
    }
    let applied = migrations.apply(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(applied)
}

async fn pending(connection: &mut PgConnection, migrations: &Migrations) -> Result<Vec<String>, MigrateError> {
    let missing = match has_table(connection, migrations.table).await? {
        true => migrations.missing(connection).await?,
        false => migrations.known(),
    };
    Ok(migrations.names(&missing))
}

async fn has_table(connection: &mut PgConnection, table: &'static str) -> Result<bool, sqlx::Error> {
    query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await
}

fn options(url: &str, name_end: &str, statement_timeout: Duration) -> Result<PgConnectOptions, PostgresError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(PostgresError::Url("unsupported scheme".into()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| PostgresError::Url(error.into()))?;
    let options = match sets_ssl_mode(url) || is_local(&options) {
        true => options,
        false => options.ssl_mode(PgSslMode::VerifyFull),
    };
    let name = format!("{}{name_end}", options.get_application_name().unwrap_or("vocalizer"));
    let timeout_ms = statement_timeout.as_millis().clamp(1, 0x7fff_ffff).to_string();
    Ok(options.application_name(&name).options([
        // Overrides the database's default: transactions rely on row locks, and must see what was committed before each
        // lock.
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

/// Whether the URL or `PGSSLMODE` sets the TLS mode.
fn sets_ssl_mode(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut keys = query.split('&').filter_map(|pair| pair.split('=').next());
    keys.any(|key| matches!(key, "sslmode" | "ssl-mode")) || std::env::var_os("PGSSLMODE").is_some()
}

/// Whether the database is on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        options(url, "", Duration::from_secs(30)).unwrap().get_ssl_mode()
    }

    #[test]
    fn remote_connection_uses_verified_tls_unless_url_overrides_it() {
        for url in ["postgres://db.example.org/v", "postgres://u:p%40%3Fx@10.0.0.1:5432/v?application_name=sslmode"] {
            assert!(matches!(mode(url), PgSslMode::VerifyFull), "{url}");
        }
        assert!(matches!(mode("postgres://db.example.org/v?sslmode=disable"), PgSslMode::Disable));
        assert!(matches!(mode("postgres://db.example.org/v?a=b&sslmode=require"), PgSslMode::Require));
        for url in
            ["postgres://localhost/v", "postgres://127.0.0.1/v", "postgres://[::1]/v", "postgres://%2Frun%2Fpg/v"]
        {
            assert!(matches!(mode(url), PgSslMode::Prefer), "{url}");
        }
    }
}
