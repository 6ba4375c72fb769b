//! Flags and variables.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

/// What the server and the one-process service share.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// Address to listen on
    #[arg(long, env = "LISTEN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    pub listen: String,
    /// Folder for everything that is kept [default: vocalizer in the user's data folder]
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Database, as in sqlite:/srv/vocalizer.db [default: vocalizer.db in the data folder]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// Where songs and stems go, as in file:/srv/blobs [default: blobs in the data folder]
    #[arg(long, env = "BLOBS_URL", value_name = "URL", hide_env_values = true)]
    pub blobs: Option<String>,
    /// Broker between server and workers; without one the queue is in the database
    #[arg(long, env = "BROKER_ADDR", value_name = "HOST:PORT", hide_env_values = true)]
    pub broker: Option<String>,
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
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as in 127.0.0.1/32,10.0.0.0/8
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETS", value_delimiter = ',', value_parser = net)]
    pub trusted_proxies: Vec<IpNet>,
    /// Mark cookies Secure even where no trusted proxy says that there is TLS
    #[arg(long, env = "SECURE_COOKIES", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub secure_cookies: bool,
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
