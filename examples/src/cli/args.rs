//! What can be asked for on the command line.
#![allow(rustdoc::invalid_html_tags, reason = "these comments are help texts, where <name> is a placeholder")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vocalizer_model::{DeviceChoice, Precision, Stem};

use crate::service::{InviteArgs, KeptArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0    everything was done
  1    some inputs could not be split; the others were
  2    the command line is wrong, or its options do not fit the model
  3    the weights could not be fetched, found or used
  4    no input could be split
  5    the device is not there, or cannot be used
  130  interrupted

Examples:
  vocalizer separate song.mp3
  vocalizer separate album/ -o stems --format flac
  vocalizer separate song.wav --two-stems vocals --format mp3 --bitrate 256";

/// Splits songs into stems: vocals, drums, bass and other.
#[derive(Debug, Parser)]
#[command(name = "vocalizer", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Split songs into stems, written to DIR/<song>/<stem>.<ext>
    #[command(after_help = EXIT_CODES)]
    Separate(Box<Separate>),
    /// List, fetch and find the models' weights
    Models(Models),
    /// List what there is to compute on
    Devices {
        /// One JSON object per device, for programs
        #[arg(long)]
        json: bool,
    },
    /// Say what a file holds: format, rate, channels, duration, hash
    Info {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON object per file, for programs
        #[arg(long)]
        json: bool,
    },
    /// Copy what a server keeps in SQLite and files into a new folder, while it runs
    Backup {
        /// Where the server keeps it
        #[command(flatten)]
        kept: KeptArgs,
        /// The folder; it must not exist, or be empty
        dir: PathBuf,
    },
    /// Copy what `backup` made to where a server keeps its data, which must be empty
    Restore {
        /// Where the server keeps it
        #[command(flatten)]
        kept: KeptArgs,
        /// The folder that `backup` made
        dir: PathBuf,
    },
    /// Print a code that lets one person register at a server with REGISTRATION=invite; it may be running
    Invite {
        /// Where the server keeps its data
        #[command(flatten)]
        kept: KeptArgs,
        /// What kind of code
        #[command(flatten)]
        of: InviteArgs,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or the one of a command
    Man {
        /// The command, as in `vocalizer man separate`
        command: Option<String>,
    },
}

/// The options of `separate`.
#[derive(Debug, Args)]
pub struct Separate {
    /// Songs, or folders of songs
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Folder for the stems
    #[arg(short, long, value_name = "DIR", default_value = "separated")]
    pub output: PathBuf,
    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(long, value_name = "NAME|FILE", default_value = "htdemucs")]
    pub model: String,
    /// What to compute on: auto, cpu, wgpu or cuda, with cards as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Numbers to compute with: f32, or on cards f16 or bf16, which keep values in half the memory and are less exact
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Segments at once on a card [default: as many as its memory has room for, up to 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: Option<u16>,
    /// Only these stems, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STEMS", conflicts_with = "two_stems")]
    pub stems: Vec<Stem>,
    /// One stem and everything else, as <stem> and no_<stem>
    #[arg(long, value_name = "STEM")]
    pub two_stems: Option<Stem>,
    /// How everything else is made: the sum of the other stems, or the song minus the stem
    #[arg(long, value_enum, default_value_t = OtherMethod::Add, requires = "two_stems")]
    pub other_method: OtherMethod,
    /// Format of the stems
    #[arg(long, value_enum, default_value_t = FormatArg::Wav)]
    pub format: FormatArg,
    /// Bitrate of MP3 in kbit/s
    #[arg(long, value_name = "KBPS", default_value_t = 320)]
    pub bitrate: u16,
    /// Variable bitrate of MP3 instead: quality 0 (best) to 9
    #[arg(long, value_name = "QUALITY", conflicts_with = "bitrate", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub vbr: Option<u8>,
    /// Passes over the song, each shifted at random, to be averaged: slower, a little better
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub shifts: u32,
    /// Seed of the random shifts
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Share of a segment that the next one covers again
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    pub overlap: f64,
    /// Segment length in seconds; shorter takes less memory and is worse
    #[arg(long, value_name = "SECONDS")]
    pub segment: Option<f64>,
    /// What to do when a stem is too loud for its file [default: rescale; none for wavf32]
    #[arg(long, value_enum)]
    pub clip: Option<ClipArg>,
    /// Sampling rate of the stems
    #[arg(long, value_enum, default_value_t = RateArg::Source)]
    pub rate: RateArg,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Write what each of the network's layers cost, as JSON, one line for each song
    #[arg(long, value_name = "FILE")]
    pub profile_json: Option<PathBuf>,
    /// One JSON object per line on standard output, for programs
    #[arg(long)]
    pub json: bool,
}

/// The options of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// What to do with them; lists them where nothing is said
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models, their sizes and whether they are here
    List,
    /// Fetch a model's weights
    Fetch {
        /// The model
        name: String,
    },
    /// Print where a model's weights lie
    Path {
        /// The model
        name: String,
    },
}

/// Ways to make the complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OtherMethod {
    /// Sum of the other stems
    Add,
    /// Song minus the stem
    Minus,
}

/// Formats of stems.
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

/// Ways to treat clipping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClipArg {
    /// Make the whole stem quieter, just enough
    Rescale,
    /// Cut what is over
    Clamp,
    /// Leave it to the format
    None,
}

/// Rates of stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RateArg {
    /// The song's own
    Source,
    /// 44.1 kHz, the model's
    #[value(name = "44100")]
    Model,
}
