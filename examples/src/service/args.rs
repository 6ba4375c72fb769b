//! Command-line options and environment variables. Every option has the name of its variable: `--data-dir` is `DATA_DIR`.

mod admin;
mod oidc;
mod policy;
pub(crate) mod resumable;
mod webhooks;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod worker;

use std::path::PathBuf;

use clap::{ArgAction, Args, value_parser};
use ipnet::IpNet;
use vocalizer_core::limits::Limits;
use vocalizer_core::service::{RenderingSettings, SongSettings};
use vocalizer_http::settings::Caps;

pub use self::admin::{
    Admin, AdminCommand, AuditArgs, InviteArgs, JobsArgs, JobsCommand, SongsArgs, SongsCommand, StorageCommand,
    StorageCommandArgs, UsersArgs, UsersCommand,
};
pub use self::oidc::OidcArgs;
pub use self::policy::{PolicyArgs, RegistrationArg};
pub use self::resumable::ResumableArgs;
pub use self::webhooks::WebhookArgs;
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use self::worker::{ComputeArgs, WorkerArgs};
use super::addresses::QueueKind;

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Addresses, proxies and tokens.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// The database and the files.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Storage limits of the service.
    #[command(flatten)]
    pub room: RoomArgs,
    /// Registration, quotas and retention.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Sign-in by OpenID Connect.
    #[command(flatten)]
    pub oidc: OidcArgs,
    /// Concurrency limits.
    #[command(flatten)]
    pub caps: CapsArgs,
    /// Resumable uploads.
    #[command(flatten)]
    pub resumable: ResumableArgs,
    /// Rendering.
    #[command(flatten)]
    pub renderings: RenderingArgs,
    /// Webhooks.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    /// Do not split songs in this process; workers elsewhere do
    #[arg(long, env = "NO_WORKER", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, help_heading = "Computing")]
    pub no_worker: bool,
    /// The worker in this process.
    #[cfg(feature = "separate")]
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// The models to choose from.
    #[cfg(not(feature = "separate"))]
    #[command(flatten)]
    pub choice: ModelsArgs,
    /// Maintenance and shutdown.
    #[command(flatten)]
    pub advanced: AdvancedArgs,
}

/// The models to choose from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Computing")]
pub struct ModelsArgs {
    /// Models that users may choose from, the default first, as in htdemucs,best,mine:vocals+instrumental; a worker takes jobs
    /// for its models only and loads them on demand [default: the one of MODEL, with the four stems of the original]
    #[arg(long, env = "MODELS", value_name = "NAMES")]
    pub models: Option<String>,
    /// Models that a worker keeps in memory; the least recently used is dropped
    #[arg(long, env = "MODELS_IN_MEMORY", value_name = "N", default_value_t = 2, value_parser = value_parser!(u16).range(1..=32),
        hide_short_help = true)]
    pub models_in_memory: u16,
}

impl ServeArgs {
    /// Returns the models to choose from.
    #[must_use]
    pub const fn choice(&self) -> &ModelsArgs {
        #[cfg(feature = "separate")]
        {
            &self.compute.choice
        }
        #[cfg(not(feature = "separate"))]
        {
            &self.choice
        }
    }

    /// Returns the model of the worker in this process, if this build has one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        #[cfg(feature = "separate")]
        {
            Some(&self.compute.model)
        }
        #[cfg(not(feature = "separate"))]
        {
            None
        }
    }
}

/// Addresses, proxies and tokens.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Address to listen on
    #[arg(long, env = "LISTEN_ADDR", alias = "listen", value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    pub listen_addr: String,
    /// Accepted host names, as in songs.example.org,.example.net (with all subdomains); * for any [default: loopback names
    /// if the server listens on loopback and trusts no proxy, else any]
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "NAMES", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, as in 127.0.0.1/32,10.0.0.0/8
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETS", value_delimiter = ',', value_parser = net)]
    pub trusted_proxies: Vec<IpNet>,
    /// Mark cookies Secure even if no trusted proxy reports TLS [default: whether PUBLIC_URL begins with https]
    #[arg(long, env = "SECURE_COOKIES", value_name = "BOOL", num_args = 0..=1,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub secure_cookies: Option<bool>,
    /// Token that workers use to deliver results; several are separated by commas [default: generated at the first start]
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// File with the token, or several, one per line
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// Accept results without a token, for workers of the original system
    #[arg(long, env = "OPEN_UPLOAD_RESULT", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub open_upload_result: bool,
}

/// Broker options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct BrokerArgs {
    /// RabbitMQ address: HOST:PORT or amqp(s)://USER:PASSWORD@HOST:PORT/VHOST; without it, jobs are queued in the database
    /// and workers fetch them from any server over HTTP
    #[arg(long, env = "BROKER_ADDR", alias = "broker", value_name = "ADDRESS", hide_env_values = true)]
    pub broker_addr: Option<String>,
    /// File with the broker's address
    #[arg(
        long,
        env = "BROKER_ADDR_FILE",
        alias = "broker-file",
        value_name = "FILE",
        conflicts_with = "broker_addr",
        hide_short_help = true
    )]
    pub broker_addr_file: Option<PathBuf>,
    /// Type of the broker's queue
    #[arg(long, env = "BROKER_QUEUE", value_name = "KIND", value_enum, default_value_t = QueueKind::Quorum,
        hide_short_help = true)]
    pub broker_queue: QueueKind,
    /// Message size limit of the broker; workers fetch larger songs from the server
    #[arg(long, env = "BROKER_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value_t = 16 * 1024 * 1024,
        hide_short_help = true)]
    pub broker_max_message_bytes: u64,
    /// RabbitMQ's consumer_timeout in seconds, or less; longer jobs than half of it move to a private queue
    #[arg(long, env = "BROKER_CONSUMER_TIMEOUT_S", value_name = "SECONDS", default_value_t = 30 * 60,
        value_parser = value_parser!(u64).range(60..), hide_short_help = true)]
    pub broker_consumer_timeout_s: u64,
}

/// Storage options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageArgs {
    /// Data folder [default: vocalizer in the user's data folder]
    #[arg(long, env = "DATA_DIR", alias = "data", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for several servers [default: vocalizer.db in the data
    /// folder]
    #[arg(long, env = "DATABASE_URL", alias = "database", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// File with the database URL
    #[arg(
        long,
        env = "DATABASE_URL_FILE",
        alias = "database-file",
        value_name = "FILE",
        conflicts_with = "database_url",
        hide_short_help = true
    )]
    pub database_url_file: Option<PathBuf>,
    /// Storage of songs and stems: file:PATH, or s3://BUCKET/PREFIX with the standard AWS variables [default: blobs in the
    /// data folder]
    #[arg(long, env = "BLOBS_URL", alias = "blobs", value_name = "URL", hide_env_values = true)]
    pub blobs_url: Option<String>,
}

/// Storage limits of the service.
#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub struct RoomArgs {
    /// Assign the files or the bucket to this database if they belong to another installation; use for one start only
    #[arg(long, env = "ADOPT_BLOBS", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub adopt_blobs: bool,
    /// Reject uploads if the disk of the blobs or the database has less free space than this [default: 1 GiB or 5 % of the
    /// disk, whichever is less]
    #[arg(long, env = "MIN_FREE_BYTES", value_name = "BYTES")]
    pub min_free_bytes: Option<u64>,
    /// Size limit in bytes of cached renditions and peaks, with LRU eviction; 0 disables the cache [default: 10 GiB or 5 %
    /// of the disk, whichever is less]
    #[arg(long, env = "RENDITIONS_MAX_BYTES", value_name = "BYTES", hide_short_help = true)]
    pub renditions_max_bytes: Option<u64>,
}

/// Limits of uploads (413 above it), of share links (409), and of what is open at once (503 with Retry-After).
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits")]
pub struct CapsArgs {
    /// Upload limit in bytes
    #[arg(long, env = "MAX_UPLOAD_BYTES", value_name = "BYTES", default_value_t = Limits::default().max_upload_bytes)]
    pub max_upload_bytes: u64,
    /// Limit of share links per song; 0 turns sharing off
    #[arg(long, env = "MAX_SHARES", value_name = "N", default_value_t = Limits::default().max_shares, hide_short_help = true)]
    pub max_shares: u32,
    /// Limit of connections; at most half of the process's open file limit
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = number(Caps::default().connections), value_parser = value_parser!(u32).range(1..),
        hide_short_help = true)]
    pub max_connections: u32,
    /// Limit of connections per address; trusted proxies may have more
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = number(Caps::default().connections_per_address),
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_connections_per_address: u32,
    /// Limit of concurrent downloads of stems.zip and stems.tar
    #[arg(long, env = "MAX_ARCHIVES", value_name = "N", default_value_t = number(Caps::default().archives), value_parser = value_parser!(u32).range(1..),
        hide_short_help = true)]
    pub max_archives: u32,
    /// Limit of concurrent downloads of stems.zip and stems.tar per user, or per address without login
    #[arg(long, env = "MAX_ARCHIVES_PER_CLIENT", value_name = "N", default_value_t = number(Caps::default().archives_per_client),
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_archives_per_client: u32,
    /// Limit of event streams, which web pages keep open; at most half of the connections
    #[arg(long, env = "MAX_EVENT_STREAMS", value_name = "N", default_value_t = number(Caps::default().event_streams),
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_event_streams: u32,
    /// Limit of event streams per user, or per address without a session
    #[arg(long, env = "MAX_EVENT_STREAMS_PER_CLIENT", value_name = "N", default_value_t = number(Caps::default().event_streams_per_client),
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_event_streams_per_client: u32,
}

/// Returns a library's default as an argument's.
fn number(default: usize) -> u32 {
    u32::try_from(default).unwrap_or(u32::MAX)
}

/// Rendering of other formats, mixes and peaks, and finding tempo and key.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits")]
pub struct RenderingArgs {
    /// Find tempo and key of songs when the page or a client asks for them
    #[arg(long, env = "ANALYSIS", value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true",
        action = ArgAction::Set, value_parser = policy::on_or_off, hide_short_help = true)]
    pub analysis: bool,
    /// Limit of running and queued renderings: other formats, mixes and peaks
    #[arg(long, env = "MAX_RENDERINGS", value_name = "N", default_value_t = number(RenderingSettings::default().most), value_parser = value_parser!(u32).range(1..),
        hide_short_help = true)]
    pub max_renderings: u32,
    /// Limit of running and queued renderings per user, or per address without a session
    #[arg(long, env = "MAX_RENDERINGS_PER_CLIENT", value_name = "N", default_value_t = number(RenderingSettings::default().most_per_client),
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_renderings_per_client: u32,
    /// Concurrent renderings [default: one per core, at least 2]
    #[arg(long, env = "RENDERINGS_AT_ONCE", value_name = "N", value_parser = value_parser!(u32).range(1..=1024),
        hide_short_help = true)]
    pub renderings_at_once: Option<u32>,
    /// Timeout of a rendering in seconds
    #[arg(long, env = "RENDERING_TIMEOUT_S", value_name = "SECONDS", default_value_t = RenderingSettings::default().time_limit.as_secs(),
        value_parser = value_parser!(u64).range(1..), hide_short_help = true)]
    pub rendering_timeout_s: u64,
}

/// Maintenance and shutdown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Advanced")]
pub struct AdvancedArgs {
    /// Check the configuration, print it without secrets and exit
    #[arg(long)]
    pub check_config: bool,
    /// Log format: text or json; RUST_LOG sets the level
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Seconds to let open requests and the current song finish at shutdown
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_grace_s: u64,
    /// Seconds between sweeps, which clean up after crashes
    #[arg(long, env = "SWEEP_INTERVAL_S", value_name = "SECONDS", default_value_t = 10 * 60,
        value_parser = value_parser!(u64).range(1..=24 * 60 * 60), hide_short_help = true)]
    pub sweep_interval_s: u64,
    /// Seconds after which a job that no worker has started is published again, if the broker cannot report its state
    #[arg(long, env = "ASK_AGAIN_AFTER_S", value_name = "SECONDS", default_value_t = SongSettings::default().ask_again_after.as_secs(),
        value_parser = value_parser!(u64).range(60..=6 * 24 * 60 * 60), hide_short_help = true)]
    pub ask_again_after_s: u64,
    /// Seconds after which a song fails if no worker for its model was there
    #[arg(long, env = "MODEL_TIMEOUT_S", value_name = "SECONDS", default_value_t = SongSettings::default().model_timeout.as_secs(),
        value_parser = value_parser!(u64).range(60..=6 * 24 * 60 * 60), hide_short_help = true)]
    pub model_timeout_s: u64,
}

/// Log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text
    Text,
    /// One JSON object per line
    Json,
}

/// Parses a network or a single address.
fn net(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address or a network, as in 127.0.0.1 or 10.0.0.0/8".to_owned())
}
