//! From flags and variables to a configuration that was checked.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use ipnet::IpNet;
use thiserror::Error;
use vocalizer_core::limits::{Limits, LimitsError};
use vocalizer_core::secret::Secret;

use super::ServiceArgs;

/// Shortest token that a worker may show: one that is made here has 64 characters.
const MIN_TOKEN_CHARS: usize = 16;

/// A configuration that was checked. Printed, it keeps its secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder for everything that is kept.
    pub data: PathBuf,
    /// The database's file.
    pub database: PathBuf,
    /// The folder of songs and stems.
    pub blobs: PathBuf,
    /// What workers show, where it was given; else one is made in the data folder.
    pub worker_tokens: Option<Vec<Secret<String>>>,
    /// Take results from anybody.
    pub open_upload_result: bool,
    /// Every bound on what comes in.
    pub limits: Limits,
    /// Whose word about addresses and TLS is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Mark cookies `Secure` in any case.
    pub secure_cookies: bool,
    /// How long open work may go on when the service is to stop.
    pub shutdown_grace: Duration,
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that cannot be used. The value itself may be a secret and is not repeated.
    #[error("{name}: {what}")]
    Value {
        /// The flag and the variable.
        name: &'static str,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// Limits that nothing could keep.
    #[error("the limits do not hold together")]
    Limits(#[from] LimitsError),
}

fn wrong(name: &'static str, what: impl fmt::Display) -> ConfigError {
    ConfigError::Value { name, what: what.to_string() }
}

impl Config {
    /// Checks what was asked for.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which says what would be right.
    pub fn check(args: &ServiceArgs) -> Result<Self, ConfigError> {
        const LISTEN: &str = "--listen (LISTEN_ADDR)";
        let mut addresses = args.listen.to_socket_addrs().map_err(|e| wrong(LISTEN, format!("{e}; give HOST:PORT")))?;
        let listen = addresses.next().ok_or_else(|| wrong(LISTEN, "the name has no address"))?;
        if args.broker.is_some() {
            let what = "this version has no broker yet; without it the queue is in the database";
            return Err(wrong("--broker (BROKER_ADDR)", what));
        }
        let data = match &args.data {
            Some(data) => data.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| wrong("--data (DATA_DIR)", "there is no home folder to put it in; name a folder"))?
                .data_dir()
                .join("vocalizer"),
        };
        let database = match args.database.as_deref() {
            None => data.join("vocalizer.db"),
            Some(url) => path_of(url, "sqlite").ok_or_else(|| {
                wrong("--database (DATABASE_URL)", "this version keeps songs in SQLite: give sqlite:PATH")
            })?,
        };
        let blobs = match args.blobs.as_deref() {
            None => data.join("blobs"),
            Some(url) => path_of(url, "file")
                .ok_or_else(|| wrong("--blobs (BLOBS_URL)", "this version keeps files in a folder: give file:PATH"))?,
        };
        let limits = Limits { max_upload_bytes: args.max_upload_bytes, ..Limits::default() };
        limits.check()?;
        Ok(Self {
            listen,
            data,
            database,
            blobs,
            worker_tokens: tokens(args)?,
            open_upload_result: args.open_upload_result,
            limits,
            trusted_proxies: args.trusted_proxies.clone(),
            secure_cookies: args.secure_cookies,
            shutdown_grace: Duration::from_secs(args.shutdown_grace_s),
        })
    }
}

/// The path in `scheme:path`, `scheme:/path` or `scheme:///path`.
fn path_of(url: &str, scheme: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix(scheme)?.strip_prefix(':')?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

fn tokens(args: &ServiceArgs) -> Result<Option<Vec<Secret<String>>>, ConfigError> {
    let (name, text) = match (&args.worker_token, &args.worker_token_file) {
        (None, None) => return Ok(None),
        (Some(text), _) => ("--worker-token (WORKER_TOKEN)", text.clone()),
        (None, Some(file)) => {
            const NAME: &str = "--worker-token-file (WORKER_TOKEN_FILE)";
            let text = std::fs::read_to_string(file);
            (NAME, text.map_err(|e| wrong(NAME, format!("{} cannot be read: {e}", file.display())))?)
        }
    };
    let tokens: Vec<_> = text.split([',', '\n']).map(str::trim).filter(|token| !token.is_empty()).collect();
    if tokens.is_empty() {
        return Err(wrong(name, "there is no token in it"));
    }
    if tokens.iter().any(|token| token.chars().count() < MIN_TOKEN_CHARS) {
        return Err(wrong(name, format!("a token has at least {MIN_TOKEN_CHARS} characters")));
    }
    Ok(Some(tokens.into_iter().map(|token| Secret::new(token.to_owned())).collect()))
}

/// One setting a line.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let tokens = match &self.worker_tokens {
            Some(tokens) => format!("(hidden, {} of them)", tokens.len()),
            None => format!("(in {})", self.data.join(super::data::TOKEN_FILE).display()),
        };
        writeln!(f, "LISTEN_ADDR={}", self.listen)?;
        writeln!(f, "DATA_DIR={}", self.data.display())?;
        writeln!(f, "DATABASE_URL=sqlite:{}", self.database.display())?;
        writeln!(f, "BLOBS_URL=file:{}", self.blobs.display())?;
        writeln!(f, "BROKER_ADDR=(none: the queue is in the database)")?;
        writeln!(f, "WORKER_TOKEN={tokens}")?;
        writeln!(f, "OPEN_UPLOAD_RESULT={}", self.open_upload_result)?;
        writeln!(f, "MAX_UPLOAD_BYTES={}", self.limits.max_upload_bytes)?;
        writeln!(f, "TRUSTED_PROXIES={}", proxies.join(","))?;
        writeln!(f, "SECURE_COOKIES={}", self.secure_cookies)?;
        writeln!(f, "SHUTDOWN_GRACE_S={}", self.shutdown_grace.as_secs())
    }
}
