//! Command-line arguments of `vocalizer`.
#![allow(rustdoc::invalid_html_tags, reason = "these comments are help texts, where <name> is a placeholder")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vocalizer_model::{DeviceChoice, Precision, Stem};

use crate::service::{InviteArgs, KeptArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    some inputs failed
  2    invalid command line, or options that the model does not support
  3    the weights could not be found, fetched or loaded
  4    all inputs failed
  5    the device is missing or not usable
  130  interrupted

Examples:
  vocalizer separate song.mp3
  vocalizer separate album/ -o stems --format flac
  vocalizer separate song.wav --two-stems vocals --format mp3 --bitrate 256";

/// Splits songs into stems: vocals, drums, bass and other.
#[derive(Debug, Parser)]
#[command(name = "vocalizer", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Split songs into stems, written to DIR/<song>/<stem>.<ext>
    #[command(after_help = EXIT_CODES)]
    Separate(Box<Separate>),
    /// List models, fetch their weights and print their paths
    Models(Models),
    /// List compute devices
    Devices {
        /// Print one JSON object per device
        #[arg(long)]
        json: bool,
    },
    /// Show a file's format, sample rate, channels, duration and hash
    Info {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print one JSON object per file
        #[arg(long)]
        json: bool,
    },
    /// Back up a server's SQLite database and files into a new folder; the server may be running
    Backup {
        /// The server's storage
        #[command(flatten)]
        kept: KeptArgs,
        /// The backup folder; it must not exist or must be empty
        dir: PathBuf,
    },
    /// Restore a backup into a server's storage, which must be empty
    Restore {
        /// The server's storage
        #[command(flatten)]
        kept: KeptArgs,
        /// The backup folder
        dir: PathBuf,
    },
    /// Print an invite code for a server with REGISTRATION=invite; the server may be running
    Invite {
        /// The server's storage
        #[command(flatten)]
        kept: KeptArgs,
        /// Options of the code
        #[command(flatten)]
        of: InviteArgs,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program or of a command
    Man {
        /// The command, as in `vocalizer man separate`
        command: Option<String>,
    },
}

/// The options of `separate`.
#[derive(Debug, Args)]
pub struct Separate {
    /// Audio files, or folders of audio files
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Output folder
    #[arg(short, long, value_name = "DIR", default_value = "separated")]
    pub output: PathBuf,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// Compute device: auto, cpu, wgpu or cuda, optionally with GPU numbers, as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Floating-point precision: f32, or on GPUs f16 or bf16, which use half the memory and are less accurate
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Batch size on a GPU, in segments [default: as many as fit into its memory, up to 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: Option<u16>,
    /// Write only these stems, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STEMS", conflicts_with = "two_stems")]
    pub stems: Vec<Stem>,
    /// Write one stem and everything else, as <stem> and no_<stem>
    #[arg(long, value_name = "STEM")]
    pub two_stems: Option<Stem>,
    /// How to compute everything else: the sum of the other stems, or the song minus the stem
    #[arg(long, value_enum, default_value_t = OtherMethod::Add, requires = "two_stems")]
    pub other_method: OtherMethod,
    /// Output format
    #[arg(long, value_enum, default_value_t = FormatArg::Wav)]
    pub format: FormatArg,
    /// MP3 bitrate in kbit/s
    #[arg(long, value_name = "KBPS", default_value_t = 320)]
    pub bitrate: u16,
    /// MP3 variable bitrate: quality 0 (best) to 9
    #[arg(long, value_name = "QUALITY", conflicts_with = "bitrate", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub vbr: Option<u8>,
    /// Number of passes with random time shifts, which are averaged: slower, slightly better
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub shifts: u32,
    /// Seed of the random shifts
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Overlap of consecutive segments, as a fraction of a segment
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    pub overlap: f64,
    /// Segment length in seconds; shorter segments use less memory and give worse results
    #[arg(long, value_name = "SECONDS")]
    pub segment: Option<f64>,
    /// How to handle clipping [default: rescale; none for wavf32]
    #[arg(long, value_enum)]
    pub clip: Option<ClipArg>,
    /// Sample rate of the stems
    #[arg(long, value_enum, default_value_t = RateArg::Source)]
    pub rate: RateArg,
    /// Number of compute threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Write a per-layer profile as JSON, one line per song
    #[arg(long, value_name = "FILE")]
    pub profile_json: Option<PathBuf>,
    /// Print one JSON object per line on standard output
    #[arg(long)]
    pub json: bool,
}

/// The options of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// The subcommand; lists the models if omitted
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,
}

/// The subcommands of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models, their sizes and whether they have been fetched
    List,
    /// Fetch a model's weights
    Fetch {
        /// The model
        name: String,
    },
    /// Print the path of a model's weights
    Path {
        /// The model
        name: String,
    },
}

/// How the complement of a stem is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OtherMethod {
    /// Sum of the other stems
    Add,
    /// Song minus the stem
    Minus,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// MP3
    Mp3,
    /// FLAC
    Flac,
    /// WAV, 16 bit
    Wav,
    /// WAV, 24 bit
    Wav24,
    /// WAV, 32-bit float
    Wavf32,
}

/// Clipping modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClipArg {
    /// Scale the whole stem down to fit
    Rescale,
    /// Clamp samples to the valid range
    Clamp,
    /// Do nothing
    None,
}

/// Sample rates of stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RateArg {
    /// The song's sample rate
    Source,
    /// 44.1 kHz, the model's sample rate
    #[value(name = "44100")]
    Model,
}
