//! Builds the validated configuration from options and environment variables.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use ipnet::IpNet;
use vocalizer_core::limits::Limits;
#[cfg(any(feature = "separate", feature = "cluster"))]
use vocalizer_core::models::InvalidModelName;
use vocalizer_core::models::{InvalidModels, ModelName, Models};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{RenderingSettings, ResumableSettings};
use vocalizer_core::trace::Sampling;
use vocalizer_http::settings::{AllowedHosts, Caps};

use super::adapters::{check_broker, check_bucket};
use super::addresses::{Blobs, Broker, Database};
use super::args::{BrokerArgs, CapsArgs, ModelsArgs, RenderingArgs, ServeArgs, StorageArgs, WebhookArgs, resumable};
use super::error::{ConfigError, invalid, text_or_file};
use super::oidc::SignIn;
use super::policy::Policy;

/// The file of the generated worker token, in the data folder.
pub(super) const TOKEN_FILE: &str = "worker-token";

/// The minimum length of a worker token; generated ones have 64 characters.
const MIN_TOKEN_CHARS: usize = 16;

/// A validated configuration. Its `Display` output hides secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// The database of songs and users.
    pub database: Database,
    /// The storage of song files and stems.
    pub blobs: Blobs,
    /// Assign the blobs to the database's installation, regardless of their owner.
    pub adopt_blobs: bool,
    /// The broker; without one the queue is in the database.
    pub broker: Option<Broker>,
    /// Worker tokens; `None` to generate one in the data folder.
    pub worker_tokens: Option<Vec<Secret<String>>>,
    /// Accept results without a token.
    pub open_upload_result: bool,
    /// Input limits.
    pub limits: Limits,
    /// Free disk space below which uploads are rejected; `None` for the default of
    /// [`SongSettings`](vocalizer_core::service::SongSettings).
    pub min_free_bytes: Option<u64>,
    /// Registration, upload quotas and retention.
    pub policy: Policy,
    /// Ways to sign in.
    pub sign_in: SignIn,
    /// Where webhooks may be.
    pub webhooks: WebhookPolicy,
    /// The time between sweeps.
    pub sweep_interval: Duration,
    /// The time after which a job that no worker has started is published again; see
    /// [`SongSettings`](vocalizer_core::service::SongSettings).
    pub ask_again_after: Duration,
    /// The models that users may choose from.
    pub models: Models,
    /// The time after which a song fails if no worker for its model was there.
    pub model_timeout: Duration,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Accepted host names.
    pub allowed_hosts: AllowedHosts,
    /// Always mark cookies `Secure`.
    pub secure_cookies: bool,
    /// Concurrency limits.
    pub caps: Caps,
    /// Rendering and caching of other formats, mixes and peaks.
    pub renderings: RenderingSettings,
    /// Bounds of resumable uploads.
    pub resumable: ResumableSettings,
    /// Which traces are recorded.
    pub traces: Sampling,
    /// The grace period for open work at shutdown.
    pub shutdown_grace: Duration,
}

/// Where webhooks may be, besides public addresses with TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// At addresses that are not public.
    pub allow_private: bool,
    /// At `http://`.
    pub allow_http: bool,
}

impl Config {
    /// Validates the arguments.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn check(args: &ServeArgs) -> Result<Self, ConfigError> {
        const LISTEN: &str = "--listen-addr (LISTEN_ADDR)";
        let mut addresses =
            args.network.listen_addr.to_socket_addrs().map_err(|e| invalid(LISTEN, format!("{e}; give HOST:PORT")))?;
        let listen = addresses.next().ok_or_else(|| invalid(LISTEN, "the host name has no address"))?;
        let broker = broker(&args.broker)?;
        let Kept { data, database, blobs } = Kept::check(&args.storage)?;
        if let Blobs::S3(url) = &blobs {
            require_cluster(BLOBS)?;
            check_bucket(url).map_err(|what| invalid(BLOBS, what))?;
        }
        let CapsArgs { max_upload_bytes, max_shares, .. } = args.caps;
        let WebhookArgs { max_webhooks, webhook_allow_private, webhook_allow_http } = args.webhooks;
        let limits = Limits { max_upload_bytes, max_shares, max_webhooks, ..Limits::default() };
        limits.check()?;
        let min_free_bytes = args.room.min_free_bytes;
        let policy = Policy::check(&args.policy, &database, &args.network.trusted_proxies)?;
        let sign_in = SignIn::check(&args.oidc, &policy)?;
        Ok(Self {
            listen,
            data,
            database,
            blobs,
            adopt_blobs: args.room.adopt_blobs,
            broker,
            worker_tokens: tokens(args.network.worker_token.as_deref(), args.network.worker_token_file.as_deref())?,
            open_upload_result: args.network.open_upload_result,
            limits,
            min_free_bytes,
            policy,
            sign_in,
            webhooks: WebhookPolicy { allow_private: webhook_allow_private, allow_http: webhook_allow_http },
            sweep_interval: Duration::from_secs(args.advanced.sweep_interval_s),
            ask_again_after: Duration::from_secs(args.advanced.ask_again_after_s),
            models: models(args.choice(), args.model())?,
            model_timeout: Duration::from_secs(args.advanced.model_timeout_s),
            trusted_proxies: args.network.trusted_proxies.clone(),
            allowed_hosts: allowed_hosts(&args.network.allowed_hosts, listen, &args.network.trusted_proxies)?,
            secure_cookies: args.network.secure_cookies.unwrap_or_else(|| args.oidc.has_tls()),
            caps: caps(&args.caps),
            renderings: renderings(&args.renderings, args.room.renditions_max_bytes),
            resumable: args.resumable.into(),
            traces: Sampling::default(),
            shutdown_grace: Duration::from_secs(args.advanced.shutdown_grace_s),
        })
    }
}

/// Returns the models that users may choose from. A single model without a list has the four stems of the original.
fn models(choice: &ModelsArgs, model: Option<&str>) -> Result<Models, ConfigError> {
    if let Some(list) = &choice.models {
        return list.parse().map_err(|error: InvalidModels| invalid(MODELS, error.to_string()));
    }
    // Of a file only the name: users see it, and its folder is private.
    let name = model.map(Path::new).and_then(Path::file_stem).and_then(|name| name.to_str());
    let Some(name) = name.filter(|name| name.parse::<ModelName>().is_ok()) else { return Ok(Models::default()) };
    let info = format!("{name}:drums+bass+other+vocals").parse();
    Ok(Models::only(info.map_err(|error: InvalidModels| invalid(MODELS, error.to_string()))?))
}

/// Returns the names of a worker's models; `None` for a worker that takes the jobs of the default model.
#[cfg(any(feature = "separate", feature = "cluster"))]
pub(super) fn worker_models(choice: &ModelsArgs) -> Result<Option<Vec<ModelName>>, ConfigError> {
    let Some(list) = &choice.models else { return Ok(None) };
    // A list for servers may be given to workers too; they need only the names.
    let names = list.split(',').map(|one| one.trim().split(':').next().unwrap_or_default().parse());
    names.collect::<Result<_, InvalidModelName>>().map(Some).map_err(|error| invalid(MODELS, error.to_string()))
}

const MODELS: &str = "--models (MODELS)";

fn count(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// By default, allows only loopback names on loopback without a proxy, and any name otherwise, because the server's names are unknown.
fn allowed_hosts(names: &[String], listen: SocketAddr, proxies: &[IpNet]) -> Result<AllowedHosts, ConfigError> {
    const NAME: &str = "--allowed-hosts (ALLOWED_HOSTS)";
    let names: Vec<_> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    if names.iter().any(|name| name == "*") {
        return Ok(AllowedHosts::Any);
    }
    if names.is_empty() {
        let is_alone = listen.ip().is_loopback() && proxies.is_empty();
        return Ok(if is_alone { AllowedHosts::Loopback } else { AllowedHosts::Any });
    }
    let is_name = |name: &str| {
        let bare = name.strip_prefix('.').unwrap_or(name);
        let is_address = bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')).is_some();
        !bare.is_empty() && (is_address || bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)))
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(invalid(
            NAME,
            format!("invalid host name {name:?}; give names without a port, as in songs.example.org"),
        )),
        None => Ok(AllowedHosts::Named(names)),
    }
}

fn caps(args: &CapsArgs) -> Caps {
    Caps {
        connections: count(args.max_connections),
        connections_per_address: count(args.max_connections_per_address),
        archives: count(args.max_archives),
        archives_per_client: count(args.max_archives_per_client),
        event_streams: count(args.max_event_streams),
        event_streams_per_client: count(args.max_event_streams_per_client),
    }
}

fn renderings(args: &RenderingArgs, max_bytes: Option<u64>) -> RenderingSettings {
    // At least two, so that one client cannot occupy all of them.
    let at_once = || available_parallelism().map_or(1, usize::from).max(2);
    RenderingSettings {
        analyses: args.analysis,
        at_once: args.renderings_at_once.map_or_else(at_once, count),
        most: count(args.max_renderings),
        most_per_client: count(args.max_renderings_per_client),
        time_limit: Duration::from_secs(args.rendering_timeout_s),
        max_bytes,
    }
}

const BLOBS: &str = "--blobs-url (BLOBS_URL)";

/// Validated storage settings.
pub(super) struct Kept {
    pub(super) data: PathBuf,
    pub(super) database: Database,
    pub(super) blobs: Blobs,
}

impl Kept {
    pub(super) fn check(args: &StorageArgs) -> Result<Self, ConfigError> {
        let data = match &args.data_dir {
            Some(data) => data.clone(),
            None => etcetera::choose_base_strategy()
                .map_err(|_| invalid("--data-dir (DATA_DIR)", "no home folder found; set a data folder"))?
                .data_dir()
                .join("vocalizer"),
        };
        let database = database(args)?.unwrap_or_else(|| Database::Sqlite(data.join("vocalizer.db")));
        let blobs = match args.blobs_url.as_deref() {
            None => Blobs::Files(data.join("blobs")),
            Some(url) => Blobs::parse(url).ok_or_else(|| invalid(BLOBS, "give file:PATH or s3://BUCKET/PREFIX"))?,
        };
        Ok(Self { data, database, blobs })
    }
}

/// Fails if this build lacks the feature `cluster`.
fn require_cluster(name: &'static str) -> Result<(), ConfigError> {
    if cfg!(feature = "cluster") {
        return Ok(());
    }
    Err(invalid(name, "this build supports only a single machine; build with `--features cluster`"))
}

const DATABASE: &str = "--database-url (DATABASE_URL, DATABASE_URL_FILE)";

/// Returns the configured database, if any.
pub(super) fn database(args: &StorageArgs) -> Result<Option<Database>, ConfigError> {
    let Some(url) = text_or_file(DATABASE, args.database_url.as_deref(), args.database_url_file.as_deref())? else {
        return Ok(None);
    };
    let database = Database::parse(&url);
    let database =
        database.ok_or_else(|| invalid(DATABASE, "give sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME"))?;
    if matches!(database, Database::Postgres(_)) {
        require_cluster(DATABASE)?;
    }
    Ok(Some(database))
}

/// Returns the configured broker, if any.
pub(super) fn broker(args: &BrokerArgs) -> Result<Option<Broker>, ConfigError> {
    const NAME: &str = "--broker-addr (BROKER_ADDR, BROKER_ADDR_FILE)";
    let Some(address) = text_or_file(NAME, args.broker_addr.as_deref(), args.broker_addr_file.as_deref())? else {
        return Ok(None);
    };
    require_cluster(NAME)?;
    let broker = Broker {
        address: Secret::new(address),
        queue: args.broker_queue,
        max_message_bytes: args.broker_max_message_bytes,
        consumer_timeout: Duration::from_secs(args.broker_consumer_timeout_s),
    };
    check_broker(&broker).map_err(|what| invalid(NAME, what))?;
    Ok(Some(broker))
}

/// Returns the worker tokens, one or several.
pub(super) fn tokens(text: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<Secret<String>>>, ConfigError> {
    let name = "--worker-token (WORKER_TOKEN, WORKER_TOKEN_FILE)";
    let Some(text) = text_or_file(name, text, file)? else { return Ok(None) };
    let tokens: Vec<_> = text.split([',', '\n']).map(str::trim).filter(|token| !token.is_empty()).collect();
    if tokens.is_empty() {
        return Err(invalid(name, "no token found"));
    }
    if tokens.iter().any(|token| token.contains(char::is_whitespace)) {
        return Err(invalid(
            name,
            "tokens must not contain whitespace; separate several tokens with commas or newlines",
        ));
    }
    if tokens.iter().any(|token| token.chars().count() < MIN_TOKEN_CHARS) {
        return Err(invalid(name, format!("a token needs at least {MIN_TOKEN_CHARS} characters")));
    }
    Ok(Some(tokens.into_iter().map(|token| Secret::new(token.to_owned())).collect()))
}

/// Returns the name of the person at the terminal, for the audit log.
pub(super) fn operator() -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let name = names.iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "unknown".to_owned());
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// One setting per line.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let tokens = match &self.worker_tokens {
            Some(tokens) => format!("(hidden, {} tokens)", tokens.len()),
            None => format!("(in {})", self.data.join(TOKEN_FILE).display()),
        };
        writeln!(f, "LISTEN_ADDR={}", self.listen)?;
        writeln!(f, "DATA_DIR={}", self.data.display())?;
        writeln!(f, "DATABASE_URL={}", self.database)?;
        writeln!(f, "BLOBS_URL={}", self.blobs)?;
        match &self.broker {
            None => writeln!(f, "BROKER_ADDR=(none: the queue is in the database)")?,
            Some(broker) => {
                writeln!(f, "BROKER_ADDR={broker}")?;
                writeln!(f, "BROKER_MAX_MESSAGE_BYTES={}", broker.max_message_bytes)?;
            }
        }
        writeln!(f, "WORKER_TOKEN={tokens}")?;
        writeln!(f, "OPEN_UPLOAD_RESULT={}", self.open_upload_result)?;
        writeln!(f, "MAX_UPLOAD_BYTES={}", self.limits.max_upload_bytes)?;
        writeln!(f, "MAX_SHARES={}", self.limits.max_shares)?;
        resumable::show(f, &self.resumable)?;
        writeln!(f, "MAX_WEBHOOKS={}", self.limits.max_webhooks)?;
        writeln!(f, "WEBHOOK_ALLOW_PRIVATE={}", self.webhooks.allow_private)?;
        writeln!(f, "WEBHOOK_ALLOW_HTTP={}", self.webhooks.allow_http)?;
        match self.min_free_bytes {
            None => writeln!(f, "MIN_FREE_BYTES=(1 GiB, or 5 % of the disk)")?,
            Some(bytes) => writeln!(f, "MIN_FREE_BYTES={bytes}")?,
        }
        write!(f, "{}{}", self.policy, self.sign_in)?;
        writeln!(f, "SWEEP_INTERVAL_S={}", self.sweep_interval.as_secs())?;
        writeln!(f, "ASK_AGAIN_AFTER_S={}", self.ask_again_after.as_secs())?;
        let models: Vec<_> = self.models.names().iter().map(ToString::to_string).collect();
        writeln!(f, "MODELS={}", models.join(","))?;
        writeln!(f, "MODEL_TIMEOUT_S={}", self.model_timeout.as_secs())?;
        writeln!(f, "TRUSTED_PROXIES={}", proxies.join(","))?;
        match &self.allowed_hosts {
            AllowedHosts::Any => writeln!(f, "ALLOWED_HOSTS=*")?,
            AllowedHosts::Loopback => writeln!(f, "ALLOWED_HOSTS=(loopback names)")?,
            AllowedHosts::Named(names) => writeln!(f, "ALLOWED_HOSTS={}", names.join(","))?,
        }
        writeln!(f, "SECURE_COOKIES={}", self.secure_cookies)?;
        let Caps {
            connections,
            connections_per_address,
            archives,
            archives_per_client,
            event_streams,
            event_streams_per_client,
        } = self.caps;
        writeln!(f, "MAX_CONNECTIONS={connections}")?;
        writeln!(f, "MAX_CONNECTIONS_PER_ADDRESS={connections_per_address}")?;
        writeln!(f, "MAX_ARCHIVES={archives}")?;
        writeln!(f, "MAX_ARCHIVES_PER_CLIENT={archives_per_client}")?;
        let RenderingSettings { analyses, at_once, most, most_per_client, time_limit, max_bytes } = self.renderings;
        match max_bytes {
            None => writeln!(f, "RENDITIONS_MAX_BYTES=(10 GiB, or 5 % of the disk)")?,
            Some(bytes) => writeln!(f, "RENDITIONS_MAX_BYTES={bytes}")?,
        }
        writeln!(f, "ANALYSIS={analyses}")?;
        writeln!(f, "MAX_RENDERINGS={most}")?;
        writeln!(f, "MAX_RENDERINGS_PER_CLIENT={most_per_client}")?;
        writeln!(f, "RENDERINGS_AT_ONCE={at_once}")?;
        writeln!(f, "RENDERING_TIMEOUT_S={}", time_limit.as_secs())?;
        writeln!(f, "MAX_EVENT_STREAMS={event_streams}")?;
        writeln!(f, "MAX_EVENT_STREAMS_PER_CLIENT={event_streams_per_client}")?;
        writeln!(f, "SHUTDOWN_GRACE_S={}", self.shutdown_grace.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(names: &[&str], listen: &str, proxies: &[&str]) -> Result<AllowedHosts, ConfigError> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let proxies: Vec<_> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        allowed_hosts(&names, listen.parse().unwrap(), &proxies)
    }

    #[test]
    fn loopback_server_allows_only_loopback_names() {
        for listen in ["127.0.0.1:8000", "[::1]:8000"] {
            assert_eq!(allowed(&[], listen, &[]).unwrap(), AllowedHosts::Loopback);
            assert_eq!(allowed(&[], listen, &["127.0.0.1/32"]).unwrap(), AllowedHosts::Any);
            assert_eq!(allowed(&["*"], listen, &[]).unwrap(), AllowedHosts::Any);
        }
        assert_eq!(allowed(&[], "0.0.0.0:8000", &[]).unwrap(), AllowedHosts::Any);
        let named = AllowedHosts::Named(vec!["songs.example.org".to_owned(), ".example.net".to_owned()]);
        assert_eq!(allowed(&["Songs.Example.org", " .example.net"], "0.0.0.0:8000", &[]).unwrap(), named);
        for wrong in ["songs.example.org:8443", "https://songs.example.org", "", ".", "a b"] {
            let error = allowed(&[wrong], "0.0.0.0:8000", &[]).unwrap_err().to_string();
            assert!(error.contains("ALLOWED_HOSTS") && error.contains("invalid host name"), "{error}");
        }
    }
}
