//! Options of `worker`, and of the worker in `serve`.

use std::path::PathBuf;

use clap::{ArgAction, Args, value_parser};
#[cfg(feature = "separate")]
use vocalizer_core::part::StemFormats;
#[cfg(feature = "separate")]
use vocalizer_model::{ComputeOptions, DeviceChoice, Precision};

use super::{BrokerArgs, LogFormat, ModelsArgs};

/// The model and the device.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Computing")]
pub struct ComputeArgs {
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, env = "MODEL", value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// The models to choose from.
    #[command(flatten)]
    pub choice: ModelsArgs,
    /// Fetch the model's weights even if no licence is stated for them
    #[arg(long, env = "ACCEPT_LICENCE", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub accept_licence: bool,
    /// Compute device: auto, cpu, wgpu or cuda, optionally with GPU numbers, as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[cfg(feature = "separate")]
    #[arg(long, env = "DEVICE", value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Number format: auto (see `vocalizer devices`) or f32, which is exact; on the CPU also bf16, int16 or int8, on GPUs also f16 or bf16
    #[cfg(feature = "separate")]
    #[arg(long, env = "PRECISION", value_name = "PRECISION", default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// Batch size on a GPU, in segments [default: as many as fit into its memory, up to 8]
    #[cfg(feature = "separate")]
    #[arg(long, env = "BATCH", value_name = "N", value_parser = value_parser!(u16).range(1..=1024), hide_short_help = true)]
    pub batch: Option<u16>,
    /// Formats of the stems: mp3, which loses a little; flac, from which the server makes MP3 on request; or both. A server of the
    /// original system gets mp3
    #[cfg(feature = "separate")]
    #[arg(long, env = "STEMS", value_name = "mp3|flac|both", default_value_t = StemFormats::Both)]
    pub stems: StemFormats,
    /// Bits per sample of FLAC: 16 or 24
    #[cfg(feature = "separate")]
    #[arg(long, env = "STEM_BITS", value_name = "BITS", default_value = "16", value_parser = ["16", "24"], hide_short_help = true)]
    pub stem_bits: String,
    /// Number of compute threads [default: one per core]
    #[arg(long, env = "THREADS", value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[cfg(feature = "separate")]
impl ComputeArgs {
    /// Converts to the model's options.
    #[must_use]
    pub fn options(&self) -> ComputeOptions {
        ComputeOptions::default()
            .with_device(self.device.clone())
            .with_precision(self.precision)
            .with_batch(self.batch.map(usize::from))
    }
}

/// Options of `worker`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct WorkerArgs {
    /// Server URL, for uploading stems and, without a broker, fetching jobs
    #[arg(long, env = "BACKEND_ADDR", alias = "backend", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub backend_addr: String,
    /// Additional root certificates to trust for the server, in PEM format
    #[arg(long, env = "BACKEND_CA_FILE", value_name = "FILE")]
    pub backend_ca_file: Option<PathBuf>,
    /// Token for the server; required without a broker
    #[arg(long, env = "WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// File with the token
    #[arg(long, env = "WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "worker_token")]
    pub worker_token_file: Option<PathBuf>,
    /// Address for /livez, /readyz and /metrics
    #[arg(long, env = "LISTEN_ADDR", alias = "listen", value_name = "HOST:PORT", default_value = "127.0.0.1:8001")]
    pub listen_addr: String,
    /// The broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// The model and the device.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Concurrent songs; each uses all threads, so use 1 on a CPU
    #[arg(long, env = "CONCURRENCY", value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(1..=64),
        help_heading = "Computing")]
    pub concurrency: u16,
    /// Folder for temporary files; if set, files left by a killed worker are removed at start [default: a new private
    /// folder with a random name in the system's temporary folder, removed at exit]
    #[arg(long, env = "WORK_DIR", value_name = "DIR", help_heading = "Storage")]
    pub work_dir: Option<PathBuf>,
    /// Check the configuration, print it without secrets and exit
    #[arg(long, help_heading = "Advanced")]
    pub check_config: bool,
    /// Log format: text or json; RUST_LOG sets the level
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text,
        help_heading = "Advanced")]
    pub log_format: LogFormat,
    /// Seconds to let current songs finish at shutdown before they are handed back
    #[arg(long, env = "SHUTDOWN_GRACE_S", value_name = "SECONDS", default_value_t = 20, help_heading = "Advanced")]
    pub shutdown_grace_s: u64,
}
