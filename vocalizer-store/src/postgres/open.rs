//! Opening the database.

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
use super::commons::Known;
use super::error::{PostgresError, repository};
use super::migrations;

/// How a server uses its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Connections at once for songs, at most: 10. Half as many more, two at least, are for users and locks, so that nobody
    /// is kept from logging in while songs wait for the database.
    pub max_connections: u32,
    /// How long a call waits for a connection to become free, or to be made: 5 s.
    pub acquire_timeout: Duration,
    /// How long a statement may take: 30 s. A call that takes so long and the above ends, whatever stands in its way.
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

/// Most that the database may take to answer about a lock, which lasts but a little longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Songs, users, the outbox, and what servers have in common, in a PostgreSQL database: a
/// [`SongRepository`](vocalizer_core::ports::SongRepository), an
/// [`AccountRepository`](vocalizer_core::ports::AccountRepository), [`Commons`](vocalizer_core::ports::Commons) and
/// [`Attempts`](vocalizer_core::ports::Attempts).
///
/// Any number of servers may open one database. What a call has written is as durable on return as the database is told
/// to make it. Clones share their connections. A database that is away makes calls
/// [`Unavailable`](vocalizer_core::ports::RepositoryError::Unavailable) and is used again as soon as it is back.
#[derive(Clone)]
pub struct PostgresStore {
    place: String,
    options: PgConnectOptions,
    pub(super) settings: PostgresSettings,
    pub(super) pool: PgPool,
    /// For users and locks.
    aside: PgPool,
    pub(super) commits: Commits,
    pub(super) known: Known,
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
    /// Opens a database and brings it up to date; several servers may do so at once.
    ///
    /// The URL is one of `postgres://user:password@host:port/database`. To another machine there is TLS with a certificate
    /// that this machine trusts (`sslmode=verify-full`), unless the URL or `PGSSLMODE` says otherwise: `sslrootcert=FILE`
    /// names another authority, `sslmode=disable` does without. What the URL leaves out comes from the variables of PostgreSQL's own programs,
    /// such as `PGPASSWORD`.
    ///
    /// # Errors
    ///
    /// Every [`PostgresError`].
    pub async fn open(url: &Secret<String>, settings: PostgresSettings) -> Result<Self, PostgresError> {
        let store = Self::open_without_migrating(url, settings).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database and changes nothing in it: for those who ask what [`Self::migrate`] would do. Everything else
    /// may fail until it has been done.
    ///
    /// # Errors
    ///
    /// Every [`PostgresError`].
    pub async fn open_without_migrating(
        url: &Secret<String>,
        settings: PostgresSettings,
    ) -> Result<Self, PostgresError> {
        let options = options(url, &settings)?;
        let pool = pool(&options, &settings, settings.max_connections);
        let aside = self::pool(&options, &settings, (settings.max_connections / 2).max(2));
        let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
        let database = options.get_database().unwrap_or(options.get_username());
        let store = Self {
            place: format!("{database} at {host}:{}", options.get_port()),
            known: Known::new(aside.clone(), settings.acquire_timeout.min(LOCK_PATIENCE)),
            options,
            settings,
            pool,
            aside,
            commits: Commits::default(),
        };
        store.pending_migrations().await?;
        Ok(store)
    }

    /// The migrations that the database lacks, oldest first, by number and name.
    ///
    /// # Errors
    ///
    /// Every [`PostgresError`] but [`PostgresError::Url`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let pending = migrations::pending(&mut connection).await;
        self.close(connection).await;
        pending.map_err(|error| PostgresError::of_migration(error, &self.place, self.options.get_username()))
    }

    /// Brings the database up to date and says what that took. A failed one has changed nothing, a repeat changes
    /// nothing; of several at once one does it and the others wait for it.
    ///
    /// # Errors
    ///
    /// Every [`PostgresError`] but [`PostgresError::Url`].
    pub async fn migrate(&self) -> Result<Vec<String>, PostgresError> {
        let mut connection = self.connect().await?;
        let applied = migrations::apply(&mut connection).await;
        self.close(connection).await;
        applied.map_err(|error| PostgresError::of_migration(error, &self.place, self.options.get_username()))
    }

    /// Which installation this is: made with the database, the same in a copy of it. Blobs carry the same.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        query_scalar("SELECT id FROM installation").fetch_one(&self.pool).await.map_err(repository)
    }

    /// The same store for what is not to wait for songs.
    pub(super) fn aside(&self) -> Self {
        Self { pool: self.aside.clone(), ..self.clone() }
    }

    /// A connection beside the pool, which would hide why there is none.
    async fn connect(&self) -> Result<PgConnection, PostgresError> {
        let connected = timeout(self.settings.acquire_timeout, PgConnection::connect_with(&self.options)).await;
        let connected = connected.unwrap_or_else(|_| Err(timed_out()));
        connected.map_err(|error| PostgresError::of(error, &self.place, self.options.get_username()))
    }

    /// Takes leave, so that the database need not find out for itself.
    async fn close(&self, connection: PgConnection) {
        let _ = timeout(self.settings.acquire_timeout, connection.close()).await;
    }
}

fn pool(options: &PgConnectOptions, settings: &PostgresSettings, max_connections: u32) -> PgPool {
    let patience = settings.acquire_timeout;
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(patience)
        // What was idle while the database was restarted is found out before it is used.
        .test_before_acquire(true)
        // And what does not answer any more after it was used is given up, lest it count as in use until the system gives it
        // up, which takes a quarter of an hour.
        .after_release(move |connection, _| {
            Box::pin(async move {
                let answered = timeout(patience, connection.ping()).await;
                answered.unwrap_or_else(|_| Err(timed_out())).map(|()| true)
            })
        })
        .connect_lazy_with(options.clone())
}

/// Nobody answered in time.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

fn options(url: &Secret<String>, settings: &PostgresSettings) -> Result<PgConnectOptions, PostgresError> {
    let url = url.expose();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(PostgresError::Url("it begins otherwise".into()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| PostgresError::Url(error.into()))?;
    let options = match says_how_to_encrypt(url) || is_local(&options) {
        true => options,
        false => options.ssl_mode(PgSslMode::VerifyFull),
    };
    let name = options.get_application_name().unwrap_or("vocalizer").to_owned();
    let longest_ms = settings.statement_timeout.as_millis().clamp(1, 0x7fff_ffff).to_string();
    Ok(options.application_name(&name).options([
        // Whatever the database prefers: steps lock what they decide by, and see what was committed before they had it.
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", longest_ms.as_str()),
        // What a server holds that has stopped in the middle of a step is free again after that.
        ("idle_in_transaction_session_timeout", longest_ms.as_str()),
        // And what one held whose machine is gone, after a minute.
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ]))
}

/// Whether the URL or the variable of PostgreSQL's own programs says whether there is TLS, and whether it is checked.
fn says_how_to_encrypt(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut keys = query.split('&').filter_map(|pair| pair.split('=').next());
    keys.any(|key| matches!(key, "sslmode" | "ssl-mode")) || std::env::var_os("PGSSLMODE").is_some()
}

/// Whether the way to the database does not leave this machine.
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
    fn a_connection_to_another_machine_is_verified_unless_the_url_says_otherwise() {
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
