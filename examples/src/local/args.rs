//! Arguments of the commands that work on this machine.
#![allow(rustdoc::invalid_html_tags, reason = "these comments are help texts, where <name> is a placeholder")]

use std::path::PathBuf;

#[cfg(feature = "separate")]
use clap::ValueEnum;
use clap::{Args, Subcommand};
#[cfg(feature = "separate")]
use vocalizer_model::{DeviceChoice, Precision, Stem};

/// The options of `separate`.
#[cfg(feature = "separate")]
#[derive(Debug, Args)]
pub(crate) struct Separate {
    /// Audio files, or folders of audio files
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output folder
    #[arg(short, long, value_name = "DIR", default_value = "separated")]
    pub(crate) output: PathBuf,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, value_name = "NAME|FILE", default_value = "htdemucs")]
    pub(crate) model: String,
    /// Compute device: auto, cpu, wgpu or cuda, optionally with GPU numbers, as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub(crate) device: DeviceChoice,
    /// Floating-point precision: f32, or on GPUs f16 or bf16, which use half the memory and are less accurate
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Batch size on a GPU, in segments [default: as many as fit into its memory, up to 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) batch: Option<u16>,
    /// Write only these stems, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STEMS", conflicts_with = "two_stems")]
    pub(crate) stems: Vec<Stem>,
    /// Write one stem and everything else, as <stem> and no_<stem>
    #[arg(long, value_name = "STEM")]
    pub(crate) two_stems: Option<Stem>,
    /// How to compute everything else: the sum of the other stems, or the song minus the stem
    #[arg(long, value_enum, default_value_t = OtherMethod::Add, requires = "two_stems")]
    pub(crate) other_method: OtherMethod,
    /// Output format
    #[arg(long, value_enum, default_value_t = FormatArg::Wav)]
    pub(crate) format: FormatArg,
    /// MP3 bitrate in kbit/s
    #[arg(long, value_name = "KBPS", default_value_t = 320)]
    pub(crate) bitrate: u16,
    /// MP3 variable bitrate: quality 0 (best) to 9
    #[arg(long, value_name = "QUALITY", conflicts_with = "bitrate", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) vbr: Option<u8>,
    /// Number of passes with random time shifts, which are averaged: slower, slightly better
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) shifts: u32,
    /// Seed of the random shifts
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Overlap of consecutive segments, as a fraction of a segment
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    pub(crate) overlap: f64,
    /// Segment length in seconds; shorter segments use less memory and give worse results
    #[arg(long, value_name = "SECONDS")]
    pub(crate) segment: Option<f64>,
    /// How to handle clipping [default: rescale; none for wavf32]
    #[arg(long, value_enum)]
    pub(crate) clip: Option<ClipArg>,
    /// Sample rate of the stems
    #[arg(long, value_enum, default_value_t = RateArg::Source)]
    pub(crate) rate: RateArg,
    /// Number of compute threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Write a per-layer profile as JSON, one line per song
    #[arg(long, value_name = "FILE")]
    pub(crate) profile_json: Option<PathBuf>,
    /// Print one JSON object per line on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `devices`.
#[cfg(feature = "separate")]
#[derive(Debug, Args)]
pub(crate) struct Devices {
    /// Print one JSON object per device
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `info`.
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print one JSON object per file
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `models`.
#[derive(Debug, Args)]
pub(crate) struct Models {
    /// The subcommand; lists the models if omitted
    #[command(subcommand)]
    pub(crate) command: Option<ModelsCommand>,
}

/// The subcommands of `models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
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
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherMethod {
    /// Sum of the other stems
    Add,
    /// Song minus the stem
    Minus,
}

/// Output formats.
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
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
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClipArg {
    /// Scale the whole stem down to fit
    Rescale,
    /// Clamp samples to the valid range
    Clamp,
    /// Do nothing
    None,
}

/// Sample rates of stems.
#[cfg(feature = "separate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateArg {
    /// The song's sample rate
    Source,
    /// 44.1 kHz, the model's sample rate
    #[value(name = "44100")]
    Model,
}
