//! Connection options and the [`PostgresStore`] type.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, query_scalar};
use tokio::time::timeout;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::secret::Secret;

use super::commits::Commits;
use super::error::{PostgresError, repository, timed_out};
use super::local_state::LocalState;
use super::migrations;

/// Settings of a [`PostgresStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Maximum number of connections for songs. Default: 10. Half as many more, at least two, are reserved for users
    /// and locks, so that logins do not wait for songs.
    pub max_connections: u32,
    /// Timeout for getting a connection. Default: 5 s.
    pub acquire_timeout: Duration,
    /// Statement timeout. Default: 30 s. The timeout of a call is the sum of both.
    pub statement_timeout: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// Maximum statement timeout for locks, which last only slightly longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Songs, users, the outbox and shared server state in a PostgreSQL database: a
/// [`SongRepository`](vocalizer_core::ports::SongRepository), an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository), [`Coordination`](vocalizer_core::ports::Coordination) and
/// [`Attempts`](vocalizer_core::ports::Attempts).
///
/// Any number of servers may open one database. Completed writes are as durable as the database is configured. Clones
/// share their connections. Without a connection, calls fail with
/// [`Unavailable`](vocalizer_core::ports::RepositoryError::Unavailable); they work again as soon as the database is
/// back.
#[derive(Clone)]
pub struct PostgresStore {
    place: String,
    options: PgConnectOptions,
    pub(super) settings: PostgresSettings,
    pub(super) pool: PgPool,
    /// Reserved for users and locks.
    reserved: PgPool,
    pub(super) commits: Commits,
    pub(super) local_state: LocalState,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.place)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a database and applies migrations; several servers may do so at once.
    ///
    /// The URL has the form `postgres://user:password@host:port/database`. Connections to other machines use TLS with a
    /// certificate that this machine trusts (`sslmode=verify-full`), unless the URL or `PGSSLMODE` says otherwise:
    /// `sslrootcert=FILE` sets another CA, `sslmode=disable` turns TLS off. Missing parts of the URL come from
    /// PostgreSQL's environment variables, such as `PGPASSWORD`.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`].
    pub async fn open(url: &Secret<String>, settings: PostgresSettings) -> Result<Self, PostgresError> {
        let store = Self::open_without_migrating(url, settings).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database without changing it, to find out what [`Self::migrate`] would do. All other calls may fail
    /// until it is migrated.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`].
    pub async fn open_without_migrating(
        url: &Secret<String>,
        settings: PostgresSettings,
    ) -> Result<Self, PostgresError> {
        let options = options(url, &settings)?;
        let pool = pool(&options, &settings, settings.max_connections);
        let reserved = self::pool(&options, &settings, (settings.max_connections / 2).max(2));
        let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
        let database = options.get_database().unwrap_or(options.get_username());
        let store = Self {
            place: format!("{database} at {host}:{}", options.get_port()),
            local_state: LocalState::new(reserved.clone(), settings.acquire_timeout.min(LOCK_PATIENCE)),
            options,
            settings,
            pool,
            reserved,
            commits: Commits::default(),
        };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// Returns the missing migrations by number and name, oldest first.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let pending = migrations::pending(&mut connection).await;
        self.close(connection).await;
        pending.map_err(|error| PostgresError::of_migration(error, &self.place, self.options.get_username()))
    }

    /// Applies missing migrations in one transaction and returns their names. Of concurrent callers, one applies them
    /// and the others wait.
    ///
    /// # Errors
    ///
    /// Any [`PostgresError`] except [`PostgresError::Url`].
    pub async fn migrate(&self) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let applied = migrations::apply(&mut connection).await;
        self.close(connection).await;
        applied.map_err(|error| PostgresError::of_migration(error, &self.place, self.options.get_username()))
    }

    /// Returns the installation ID: created with the database, and the same in a copy of it. Blobs carry the same ID.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(&self.pool).await.map_err(repository)
    }

    /// Returns the same store with the reserved connections, for calls that must not wait for songs.
    pub(super) fn reserved(&self) -> Self {
        Self { pool: self.reserved.clone(), ..self.clone() }
    }

    /// Opens a connection outside the pool, which would hide the cause of a failure.
    async fn connect(&self) -> Result<PgConnection, PostgresError> {
        let connected = timeout(self.settings.acquire_timeout, PgConnection::connect_with(&self.options)).await;
        let connected = connected.unwrap_or_else(|_| Err(timed_out()));
        connected.map_err(|error| PostgresError::of(error, &self.place, self.options.get_username()))
    }

    /// Closes the connection cleanly.
    async fn close(&self, connection: PgConnection) {
        let _ = timeout(self.settings.acquire_timeout, connection.close()).await;
    }
}

fn pool(options: &PgConnectOptions, settings: &PostgresSettings, max_connections: u32) -> PgPool {
    let patience = settings.acquire_timeout;
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
        .connect_lazy_with(options.clone())
}

fn options(url: &Secret<String>, settings: &PostgresSettings) -> Result<PgConnectOptions, PostgresError> {
    let url = url.expose();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(PostgresError::Url("unsupported scheme".into()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| PostgresError::Url(error.into()))?;
    let options = match sets_ssl_mode(url) || is_local(&options) {
        true => options,
        false => options.ssl_mode(PgSslMode::VerifyFull),
    };
    let name = options.get_application_name().unwrap_or("vocalizer").to_owned();
    let timeout_ms = settings.statement_timeout.as_millis().clamp(1, 0x7fff_ffff).to_string();
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
        options(&Secret::new(url.to_owned()), &PostgresSettings::default()).unwrap().get_ssl_mode()
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
