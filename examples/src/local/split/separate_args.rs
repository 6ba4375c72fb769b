//! Arguments of `separate` and `watch`.
#![allow(rustdoc::invalid_html_tags, reason = "these comments are help texts, where <name> is a placeholder")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vocalizer_model::Stem;

use super::template::Template;
use super::{template, times};
use crate::local::network_args::{COMPUTE, NetworkArgs, QUALITY};

const INPUT: &str = "Input";
const OUTPUT: &str = "Output";
const STEMS: &str = "Stems";
const MESSAGES: &str = "Messages";

/// The options of `separate`.
#[derive(Debug, Args)]
pub(crate) struct Separate {
    /// Audio files, folders of audio files, or - for standard input
    #[arg(required_unless_present = "list_models", value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Name of the song on standard input
    #[arg(long, value_name = "NAME", default_value = "stdin", help_heading = INPUT)]
    pub(crate) stdin_name: String,
    /// Stop at the first song that fails
    #[arg(long, help_heading = INPUT, overrides_with = "keep_going")]
    pub(crate) fail_fast: bool,
    /// Split the other songs if one fails (default)
    #[arg(long, help_heading = INPUT, overrides_with = "fail_fast")]
    pub(crate) keep_going: bool,
    /// Leave out songs that were split before with the same options
    #[arg(long, help_heading = OUTPUT, conflicts_with = "overwrite")]
    pub(crate) skip_existing: bool,
    /// The options that `watch` has, too
    #[command(flatten)]
    pub(crate) split: SplitArgs,
}

/// The options of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Folder whose songs are split, now and as they are added
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Seconds for which a file must not change before it is split
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=86_400), help_heading = INPUT)]
    pub(crate) settle: u32,
    /// The options that `separate` has, too
    #[command(flatten)]
    pub(crate) split: SplitArgs,
}

/// The options of splitting songs.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// Audio track of the file, from 1 [default: the file's default track]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = INPUT)]
    pub(crate) track: Option<u32>,
    /// Start of the part to split, in seconds or as 1:30
    #[arg(long, value_name = "TIME", value_parser = times::parse, help_heading = INPUT)]
    pub(crate) start: Option<f64>,
    /// End of the part to split
    #[arg(long, value_name = "TIME", value_parser = times::parse, help_heading = INPUT)]
    pub(crate) end: Option<f64>,
    /// Refuse damaged songs instead of splitting what can be read
    #[arg(long, help_heading = INPUT)]
    pub(crate) strict: bool,

    /// Output folder, or - to write a single stem to standard output
    #[arg(short, long, value_name = "DIR", default_value = "separated", alias = "out", help_heading = OUTPUT)]
    pub(crate) output: PathBuf,
    /// Paths in the output folder, as in {artist}/{album}/{title}/{stem}.{ext}
    #[arg(long, value_name = "PATH", default_value = template::DEFAULT, alias = "filename", help_heading = OUTPUT)]
    pub(crate) out_template: Template,
    /// Replace stems of other songs in the same place [default: choose another folder]
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) overwrite: bool,
    /// Output format
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = FormatArg::Wav, help_heading = OUTPUT)]
    pub(crate) format: FormatArg,
    /// MP3 bitrate in kbit/s [default: 320]
    #[arg(long, value_name = "KBPS", alias = "mp3-bitrate", help_heading = OUTPUT)]
    pub(crate) bitrate: Option<u16>,
    /// MP3 variable bitrate: quality 0 (best) to 9
    #[arg(long, value_name = "QUALITY", conflicts_with = "bitrate", value_parser = clap::value_parser!(u8).range(0..=9), help_heading = OUTPUT)]
    pub(crate) vbr: Option<u8>,
    /// Sample rate of the stems
    #[arg(long, value_enum, value_name = "RATE", default_value_t = RateArg::Source, help_heading = OUTPUT)]
    pub(crate) rate: RateArg,
    /// Write one channel
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) mono: bool,
    /// How to handle clipping [default: common; none for wavf32]
    #[arg(long, value_enum, value_name = "MODE", alias = "clip-mode", help_heading = OUTPUT)]
    pub(crate) clip: Option<ClipArg>,
    /// Write stems without the song's tags and cover
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) no_tags: bool,

    /// Write only these stems, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STEMS", conflicts_with = "two_stems", help_heading = STEMS)]
    pub(crate) stems: Vec<Stem>,
    /// Write one stem and everything else, as <stem> and no_<stem>
    #[arg(long, value_name = "STEM", help_heading = STEMS)]
    pub(crate) two_stems: Option<Stem>,
    /// How to compute everything else: the sum of the other stems, or the song minus the stem
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = OtherMethod::Add, requires = "two_stems", help_heading = STEMS)]
    pub(crate) other_method: OtherMethod,
    /// Write the song without these stems, as minus_<stem>
    #[arg(long, value_delimiter = ',', value_name = "STEMS", help_heading = STEMS)]
    pub(crate) mix_minus: Vec<Stem>,

    /// A model's name (see `vocalizer models`) or a weights file
    #[arg(short = 'n', long, value_name = "NAME|FILE", default_value = "htdemucs", alias = "name", help_heading = QUALITY)]
    pub(crate) model: String,
    /// Fetch the model's weights even if no licence is stated for them; needed once per model
    #[arg(long, help_heading = QUALITY)]
    pub(crate) accept_licence: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Songs at once: one is decoded or encoded while another is computed
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=64), help_heading = COMPUTE)]
    pub(crate) jobs: u8,

    /// Print errors only
    #[arg(short, long, conflicts_with = "verbose", help_heading = MESSAGES)]
    pub(crate) quiet: bool,
    /// Print the folder, the hash and the gains of each song, too
    #[arg(short, long, help_heading = MESSAGES)]
    pub(crate) verbose: bool,
    /// Print one JSON object per line on standard output
    #[arg(long, help_heading = MESSAGES)]
    pub(crate) json: bool,
    /// Write a per-layer profile as JSON, one line per song
    #[arg(long, value_name = "FILE", help_heading = MESSAGES)]
    pub(crate) profile_json: Option<PathBuf>,

    /// Options of Demucs that have another name here
    #[command(flatten)]
    pub(crate) demucs: super::demucs_args::DemucsArgs,
}

/// How the complement of a stem is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherMethod {
    /// Sum of the other stems
    Add,
    /// Song minus the stem
    Minus,
    /// Only the stem, in Demucs
    #[value(hide = true)]
    None,
}

/// Output formats.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClipArg {
    /// Make all stems of the song quieter by one gain, so that they still add up
    Common,
    /// Make each stem that clips quieter, as Demucs does
    #[value(alias = "rescale")]
    Each,
    /// Cut samples at the valid range
    Clamp,
    /// Do nothing
    None,
}

/// Sample rates of stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateArg {
    /// The song's sample rate
    Source,
    /// 44.1 kHz, the model's sample rate
    #[value(name = "44100")]
    Model,
}
