//! Command-line options and environment variables.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
#[cfg(feature = "separate")]
use vocalizer_model::{ComputeOptions, DeviceChoice, Precision};

use super::QueueKind;
use super::invite::InviteArgs;
use super::policy::PolicyArgs;

/// Options of `server` and `standalone`.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Address to listen on
    #[arg(long, env = "LISTEN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    pub listen: String,
    /// Storage
    #[command(flatten)]
    pub kept: KeptArgs,
    /// Assign the files or the bucket to this database if they belong to another installation; use for one start only
    #[arg(long, env = "ADOPT_BLOBS", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub adopt_blobs: bool,
    /// The broker
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Token that workers use to deliver results; several are separated by commas [default: generated at the first start]
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// File with the token, or several, one per line
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// Accept results without a token, for workers of the original system
    #[arg(long, env = "OPEN_UPLOAD_RESULT", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub open_upload_result: bool,
    /// Upload limit in bytes
    #[arg(long, env = "MAX_UPLOAD_BYTES", value_name = "BYTES", default_value_t = 75 * 1024 * 1024)]
    pub max_upload_bytes: u64,
    /// Reject uploads if the disk of the blobs or the database has less free space than this [default: 1 GiB or 5 % of the
    /// disk, whichever is less]
    #[arg(long, env = "MIN_FREE_BYTES", value_name = "BYTES")]
    pub min_free_bytes: Option<u64>,
    /// Registration, upload quotas and retention
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Seconds between sweeps, which clean up after crashes
    #[arg(long, env = "SWEEP_INTERVAL_S", value_name = "SECONDS", default_value_t = 10 * 60,
        value_parser = clap::value_parser!(u64).range(1..=24 * 60 * 60))]
    pub sweep_interval_s: u64,
    /// Seconds after which a job that no worker has started is published again, if the broker cannot report its state
    #[arg(long, env = "ASK_AGAIN_AFTER_S", value_name = "SECONDS", default_value_t = 6 * 60 * 60,
        value_parser = clap::value_parser!(u64).range(60..=6 * 24 * 60 * 60))]
    pub ask_again_after_s: u64,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, as in 127.0.0.1/32,10.0.0.0/8
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETS", value_delimiter = ',', value_parser = net)]
    pub trusted_proxies: Vec<IpNet>,
    /// Accepted host names, as in songs.example.org,.example.net (with all subdomains); * for any [default: loopback names
    /// if the server listens on loopback and trusts no proxy, else any]
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "NAMES", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// Mark cookies Secure even if no trusted proxy reports TLS
    #[arg(long, env = "SECURE_COOKIES", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub secure_cookies: bool,
    /// Concurrency limits
    #[command(flatten)]
    pub caps: CapsArgs,
    /// Rendering
    #[command(flatten)]
    pub renderings: RenderingArgs,
    /// Seconds to let open requests and the current song finish at shutdown
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_grace_s: u64,
    /// Log format: text or json; RUST_LOG sets the level
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Check the configuration, print it without secrets and exit
    #[arg(long)]
    pub check_config: bool,
    /// Migrate the database and exit
    #[arg(long)]
    pub migrate: bool,
}

/// Concurrency limits. Requests above them get 503 with Retry-After.
#[derive(Debug, Clone, Copy, Args)]
pub struct CapsArgs {
    /// Limit of connections; at most half of the process's open file limit
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Limit of connections per address; trusted proxies may have more
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,
    /// Limit of concurrent downloads of stems.zip and stems.tar
    #[arg(long, env = "MAX_ARCHIVES", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_archives: u32,
    /// Limit of concurrent downloads of stems.zip and stems.tar per user, or per address without login
    #[arg(long, env = "MAX_ARCHIVES_PER_CLIENT", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_archives_per_client: u32,
    /// Limit of event streams, which web pages keep open; at most half of the connections
    #[arg(long, env = "MAX_EVENT_STREAMS", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_event_streams: u32,
    /// Limit of event streams per user, or per address without a session
    #[arg(long, env = "MAX_EVENT_STREAMS_PER_CLIENT", value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_event_streams_per_client: u32,
}

/// Rendering of other formats, mixes and peaks.
#[derive(Debug, Clone, Copy, Args)]
pub struct RenderingArgs {
    /// Size limit in bytes of cached renditions and peaks, with LRU eviction; 0 disables the cache [default: 10 GiB or 5 %
    /// of the disk, whichever is less]
    #[arg(long, env = "RENDITIONS_MAX_BYTES", value_name = "BYTES")]
    pub renditions_max_bytes: Option<u64>,
    /// Limit of running and queued renderings: other formats, mixes and peaks
    #[arg(long, env = "MAX_RENDERINGS", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_renderings: u32,
    /// Limit of running and queued renderings per user, or per address without a session
    #[arg(long, env = "MAX_RENDERINGS_PER_CLIENT", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_renderings_per_client: u32,
    /// Concurrent renderings [default: one per core, at least 2]
    #[arg(long, env = "RENDERINGS_AT_ONCE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub renderings_at_once: Option<u32>,
    /// Timeout of a rendering in seconds
    #[arg(long, env = "RENDERING_TIMEOUT_S", value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub rendering_timeout_s: u64,
}

/// Storage options.
#[derive(Debug, Clone, Args)]
pub struct KeptArgs {
    /// Data folder [default: vocalizer in the user's data folder]
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Database: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for several servers [default: vocalizer.db in the data
    /// folder]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// File with the database URL
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    pub database_file: Option<PathBuf>,
    /// Storage of songs and stems: file:PATH, or s3://BUCKET/PREFIX with the standard AWS variables [default: blobs in the
    /// data folder]
    #[arg(long, env = "BLOBS_URL", value_name = "URL", hide_env_values = true)]
    pub blobs: Option<String>,
}

/// Broker options.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// RabbitMQ address: HOST:PORT or amqp(s)://USER:PASSWORD@HOST:PORT/VHOST; without it, jobs are queued in the database
    /// and workers fetch them from any server over HTTP
    #[arg(long, env = "BROKER_ADDR", value_name = "ADDRESS", hide_env_values = true)]
    pub broker: Option<String>,
    /// File with the broker's address
    #[arg(long, env = "BROKER_ADDR_FILE", value_name = "FILE", conflicts_with = "broker")]
    pub broker_file: Option<PathBuf>,
    /// Type of the broker's queue
    #[arg(long, env = "BROKER_QUEUE", value_name = "KIND", value_enum, default_value_t = QueueKind::Quorum)]
    pub broker_queue: QueueKind,
    /// Message size limit of the broker; workers fetch larger songs from the server
    #[arg(long, env = "BROKER_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub broker_max_message_bytes: u64,
    /// RabbitMQ's consumer_timeout in seconds, or less; longer jobs than half of it move to a private queue
    #[arg(long, env = "BROKER_CONSUMER_TIMEOUT_S", value_name = "SECONDS", default_value_t = 30 * 60,
        value_parser = clap::value_parser!(u64).range(60..))]
    pub broker_consumer_timeout_s: u64,
}

/// Compute options.
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Args)]
pub struct ComputeArgs {
    /// Compute device: auto, cpu, wgpu or cuda, optionally with GPU numbers, as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(long, env = "DEVICE", value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Floating-point precision: f32, or on GPUs f16 or bf16, which use half the memory and are less accurate
    #[arg(long, env = "PRECISION", value_name = "PRECISION", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Batch size on a GPU, in segments [default: as many as fit into its memory, up to 8]
    #[arg(long, env = "BATCH", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: Option<u16>,
}

#[cfg(feature = "separate")]
impl ComputeArgs {
    pub(super) fn print(&self) {
        println!("DEVICE={}", self.device);
        println!("PRECISION={}", self.precision);
        println!("BATCH={}", self.batch.map_or("(as memory allows)".to_owned(), |batch| batch.to_string()));
    }

    /// Converts to the model's options.
    #[must_use]
    pub fn options(&self) -> ComputeOptions {
        ComputeOptions::default()
            .with_device(self.device.clone())
            .with_precision(self.precision)
            .with_batch(self.batch.map(usize::from))
    }
}

/// Options of `standalone`.
#[cfg(feature = "separate")]
#[derive(Debug, Args)]
pub struct StandaloneArgs {
    /// Server options
    #[command(flatten)]
    pub service: ServiceArgs,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, env = "MODEL", value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// Number of compute threads [default: one per core]
    #[arg(long, env = "THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Compute options
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Commands of `server`.
#[derive(Debug, clap::Subcommand)]
pub enum ServerCommand {
    /// Copy users, sessions and songs from SQLite into the empty PostgreSQL database in DATABASE_URL (or --database, given
    /// before the command) and exit
    MigrateData {
        /// The source, as in sqlite:/srv/vocalizer.db; no server may be using it
        #[arg(long, value_name = "URL")]
        from: String,
    },
    /// Back up the SQLite database and the files into a new folder and exit; the server may be running. Options go before
    /// the command
    Backup {
        /// The backup folder; it must not exist or must be empty
        dir: PathBuf,
    },
    /// Print an invite code for REGISTRATION=invite and exit; the server may be running. Options go before the command
    Invite(InviteArgs),
    /// Restore a backup into the server's storage, which must be empty, and exit. Options go before the command
    Restore {
        /// The backup folder
        dir: PathBuf,
    },
}

/// Options of `worker`.
#[cfg(any(feature = "separate", feature = "cluster"))]
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Server URL, for uploading stems and, without a broker, fetching jobs
    #[arg(long, env = "BACKEND_ADDR", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub backend: String,
    /// Additional root certificates to trust for the server, in PEM format
    #[arg(long, env = "BACKEND_CA_FILE", value_name = "FILE")]
    pub backend_ca_file: Option<PathBuf>,
    /// The broker
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Token for the server; required without a broker
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// File with the token
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, env = "MODEL", value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// Number of compute threads [default: one per core]
    #[arg(long, env = "THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Compute options
    #[cfg(feature = "separate")]
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Concurrent songs; each uses all threads, so use 1 on a CPU
    #[arg(long, env = "CONCURRENCY", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Address for /livez, /readyz and /metrics
    #[arg(long, env = "LISTEN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8001")]
    pub listen: String,
    /// Folder for temporary files; if set, files left by a killed worker are removed at start [default: a new private
    /// folder with a random name in the system's temporary folder, removed at exit]
    #[arg(long, env = "WORK_DIR", value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Seconds to let current songs finish at shutdown before they are handed back
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_grace_s: u64,
    /// Log format: text or json; RUST_LOG sets the level
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Check the configuration, print it without secrets and exit
    #[arg(long)]
    pub check_config: bool,
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
