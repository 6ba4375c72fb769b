//! Flags and variables.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
#[cfg(feature = "separate")]
use vocalizer_model::{ComputeOptions, DeviceChoice, Precision};

use super::QueueKind;
use super::invite::InviteArgs;
use super::policy::PolicyArgs;

/// What the server and the one-process service share.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Address to listen on
    #[arg(long, env = "LISTEN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    pub listen: String,
    /// Where everything is kept
    #[command(flatten)]
    pub kept: KeptArgs,
    /// Give the files or the bucket to this database, where they belong to another installation; for one start
    #[arg(long, env = "ADOPT_BLOBS", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub adopt_blobs: bool,
    /// The broker
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// What workers show to deliver results; several are separated by commas [default: made at the first start]
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// A file with that token, or several, one per line
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// Take results from anybody, for workers of the original system
    #[arg(long, env = "OPEN_UPLOAD_RESULT", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub open_upload_result: bool,
    /// Largest song file in bytes
    #[arg(long, env = "MAX_UPLOAD_BYTES", value_name = "BYTES", default_value_t = 75 * 1024 * 1024)]
    pub max_upload_bytes: u64,
    /// Free space on the disks of the blobs and of the database below which uploads are refused [default: 1 GiB, or 5 % of
    /// the disk where that is less]
    #[arg(long, env = "MIN_FREE_BYTES", value_name = "BYTES")]
    pub min_free_bytes: Option<u64>,
    /// Who may register and upload, how much, and for how long songs are kept
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Seconds between two sweeps, which mend what crashes left
    #[arg(long, env = "SWEEP_INTERVAL_S", value_name = "SECONDS", default_value_t = 10 * 60,
        value_parser = clap::value_parser!(u64).range(1..=24 * 60 * 60))]
    pub sweep_interval_s: u64,
    /// Seconds after which a job is published again that no worker has begun, where the broker does not say where it is
    #[arg(long, env = "ASK_AGAIN_AFTER_S", value_name = "SECONDS", default_value_t = 6 * 60 * 60,
        value_parser = clap::value_parser!(u64).range(60..=6 * 24 * 60 * 60))]
    pub ask_again_after_s: u64,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as in 127.0.0.1/32,10.0.0.0/8
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETS", value_delimiter = ',', value_parser = net)]
    pub trusted_proxies: Vec<IpNet>,
    /// Host names that the server answers to, as in songs.example.org,.example.net (all names below it); * for any
    /// [default: loopback names when it listens on loopback and trusts no proxy, else any]
    #[arg(long, env = "ALLOWED_HOSTS", value_name = "NAMES", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// Mark cookies Secure even where no trusted proxy says that there is TLS
    #[arg(long, env = "SECURE_COOKIES", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub secure_cookies: bool,
    /// What may be open at once
    #[command(flatten)]
    pub caps: CapsArgs,
    /// What is made of songs
    #[command(flatten)]
    pub renderings: RenderingArgs,
    /// Seconds that open requests and the song in hand have when the service is to stop
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_grace_s: u64,
    /// Log lines: text or json; RUST_LOG says how much
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Check the configuration, print it without its secrets, and end
    #[arg(long)]
    pub check_config: bool,
    /// Bring the database up to date and end
    #[arg(long)]
    pub migrate: bool,
}

/// What may be open at once. Above it the answer is 503 with Retry-After.
#[derive(Debug, Clone, Copy, Args)]
pub struct CapsArgs {
    /// Most connections at once; no more than half of the files that the process may open
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Most connections from one address at once; trusted proxies may have more
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections_per_address: u32,
    /// Most downloads of stems.zip and stems.tar at once
    #[arg(long, env = "MAX_ARCHIVES", value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_archives: u32,
    /// Most downloads of stems.zip and stems.tar at once of one user, or of one address where nobody is logged in
    #[arg(long, env = "MAX_ARCHIVES_PER_CLIENT", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_archives_per_client: u32,
    /// Most event streams at once, which pages keep open; no more than half of the connections
    #[arg(long, env = "MAX_EVENT_STREAMS", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_event_streams: u32,
    /// Most event streams at once of one user, or of one address where nobody is logged in
    #[arg(long, env = "MAX_EVENT_STREAMS_PER_CLIENT", value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_event_streams_per_client: u32,
}

/// What is made of songs and stems: other formats, mixes and peaks.
#[derive(Debug, Clone, Copy, Args)]
pub struct RenderingArgs {
    /// Most bytes of other formats and peaks that are kept, those used longest ago go first; 0 keeps none [default: 10 GiB,
    /// or 5 % of the disk where that is less]
    #[arg(long, env = "RENDITIONS_MAX_BYTES", value_name = "BYTES")]
    pub renditions_max_bytes: Option<u64>,
    /// Most files that are made at once or wait for it: other formats, mixes and peaks
    #[arg(long, env = "MAX_RENDERINGS", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_renderings: u32,
    /// Most of those of one user, or of one address without a user
    #[arg(long, env = "MAX_RENDERINGS_PER_CLIENT", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_renderings_per_client: u32,
    /// Files that are made at once [default: one per core, and at least 2]
    #[arg(long, env = "RENDERINGS_AT_ONCE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub renderings_at_once: Option<u32>,
    /// Seconds that making one file may take
    #[arg(long, env = "RENDERING_TIMEOUT_S", value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub rendering_timeout_s: u64,
}

/// Where everything is kept.
#[derive(Debug, Clone, Args)]
pub struct KeptArgs {
    /// Folder for everything that is kept [default: vocalizer in the user's data folder]
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Database: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for many servers [default: vocalizer.db in the data
    /// folder]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// A file with the database's URL in it
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    pub database_file: Option<PathBuf>,
    /// Where songs and stems go: file:PATH, or s3://BUCKET/PREFIX with the usual AWS variables [default: blobs in the
    /// data folder]
    #[arg(long, env = "BLOBS_URL", value_name = "URL", hide_env_values = true)]
    pub blobs: Option<String>,
}

/// The way to the broker.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// RabbitMQ between servers and workers: HOST:PORT or amqp(s)://USER:PASSWORD@HOST:PORT/VHOST; without it, jobs are in
    /// the database, and workers take them from any server over HTTP
    #[arg(long, env = "BROKER_ADDR", value_name = "ADDRESS", hide_env_values = true)]
    pub broker: Option<String>,
    /// A file with the broker's address in it
    #[arg(long, env = "BROKER_ADDR_FILE", value_name = "FILE", conflicts_with = "broker")]
    pub broker_file: Option<PathBuf>,
    /// What kind the broker's queue is
    #[arg(long, env = "BROKER_QUEUE", value_name = "KIND", value_enum, default_value_t = QueueKind::Quorum)]
    pub broker_queue: QueueKind,
    /// Largest message the broker takes; larger songs are fetched by workers from the server
    #[arg(long, env = "BROKER_MAX_MESSAGE_BYTES", value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub broker_max_message_bytes: u64,
    /// RabbitMQ's consumer_timeout in seconds, or less: jobs that take more than half of it are kept in another way
    #[arg(long, env = "BROKER_CONSUMER_TIMEOUT_S", value_name = "SECONDS", default_value_t = 30 * 60,
        value_parser = clap::value_parser!(u64).range(60..))]
    pub broker_consumer_timeout_s: u64,
}

/// What songs are split on.
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Args)]
pub struct ComputeArgs {
    /// What to compute on: auto, cpu, wgpu or cuda, with cards as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(long, env = "DEVICE", value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Numbers to compute with: f32, or on cards f16 or bf16, which keep values in half the memory and are less exact
    #[arg(long, env = "PRECISION", value_name = "PRECISION", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Segments at once on a card [default: as many as its memory has room for, up to 8]
    #[arg(long, env = "BATCH", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: Option<u16>,
}

#[cfg(feature = "separate")]
impl ComputeArgs {
    pub(super) fn print(&self) {
        println!("DEVICE={}", self.device);
        println!("PRECISION={}", self.precision);
        println!("BATCH={}", self.batch.map_or("(what memory has room for)".to_owned(), |batch| batch.to_string()));
    }

    /// As the model takes it.
    #[must_use]
    pub fn options(&self) -> ComputeOptions {
        ComputeOptions::default()
            .with_device(self.device.clone())
            .with_precision(self.precision)
            .with_batch(self.batch.map(usize::from))
    }
}

/// What the one-process service has beyond.
#[cfg(feature = "separate")]
#[derive(Debug, Args)]
pub struct StandaloneArgs {
    /// Everything that the server takes
    #[command(flatten)]
    pub service: ServiceArgs,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, env = "MODEL", value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// Threads to compute with [default: one per core]
    #[arg(long, env = "THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What to compute on
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// What the server does instead of serving.
#[derive(Debug, clap::Subcommand)]
pub enum ServerCommand {
    /// Copy users, sessions and songs from SQLite into the empty PostgreSQL of DATABASE_URL (or of --database, before the
    /// command), and end
    MigrateData {
        /// Where they are, as in sqlite:/srv/vocalizer.db; no server may be using it
        #[arg(long, value_name = "URL")]
        from: String,
    },
    /// Copy the database (SQLite) and the blobs (files) into a new folder, while the server runs, and end. Options go
    /// before the command
    Backup {
        /// The folder; it must not exist, or be empty
        dir: PathBuf,
    },
    /// Print a code that lets one person register where REGISTRATION=invite, and end; a server may be running. Options go
    /// before the command
    Invite(InviteArgs),
    /// Copy what `backup` made to where the server keeps its data, which must be empty, and end. Options go before the
    /// command
    Restore {
        /// The folder that `backup` made
        dir: PathBuf,
    },
}

/// What a worker by itself takes.
#[cfg(any(feature = "separate", feature = "cluster"))]
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// The server to bring stems to, and to take jobs from where there is no broker
    #[arg(long, env = "BACKEND_ADDR", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub backend: String,
    /// Certificates to trust for the server beside the system's, as PEM
    #[arg(long, env = "BACKEND_CA_FILE", value_name = "FILE")]
    pub backend_ca_file: Option<PathBuf>,
    /// The broker
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Token to show to the server; needed without a broker
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// A file with that token in it
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, env = "MODEL", value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// Threads to compute with [default: one per core]
    #[arg(long, env = "THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What to compute on
    #[cfg(feature = "separate")]
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Songs at once; each uses all threads, so that 1 is right for a CPU
    #[arg(long, env = "CONCURRENCY", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "LISTEN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8001")]
    pub listen: String,
    /// Folder for work in progress; where it is named, what a killed worker left there is removed [default: a new one
    /// with a random name, for this user alone, in the system's folder for temporary files; it goes with the worker]
    #[arg(long, env = "WORK_DIR", value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Seconds that the songs in hand have when the worker is to stop, before they are handed back
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20)]
    pub shutdown_grace_s: u64,
    /// Log lines: text or json; RUST_LOG says how much
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Check the configuration, print it without its secrets, and end
    #[arg(long)]
    pub check_config: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs: one JSON object a line
    Json,
}

/// A network, or one address.
fn net(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address or a network, as in 127.0.0.1 or 10.0.0.0/8".to_owned())
}
