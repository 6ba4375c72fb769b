//! Arguments of `evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vocalizer_model::Stem;

use crate::local::network_args::NetworkArgs;

const SONGS: &str = "Songs";
const ESTIMATES: &str = "What is scored";
const OUTPUT: &str = "Output";

/// The options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// Folder of songs with true stems: SONG/mixture.wav, SONG/vocals.wav and so on, or SONG.stem.mp4; also in its folders test and train
    #[arg(long, value_name = "DIR", help_heading = SONGS)]
    pub(crate) dataset: PathBuf,
    /// Which of the folders test and train [default: test, if there is one]
    #[arg(long, value_enum, value_name = "SUBSET", help_heading = SONGS)]
    pub(crate) subset: Option<Subset>,
    /// Only songs whose name contains this text
    #[arg(long, value_name = "TEXT", help_heading = SONGS)]
    pub(crate) tracks: Option<String>,
    /// Only the first N songs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = SONGS)]
    pub(crate) limit: Option<u32>,

    /// A model's name (see `vocalizer models`) or a weights file; may be repeated [default: htdemucs]
    #[arg(short = 'n', long, value_name = "NAME|FILE", help_heading = ESTIMATES)]
    pub(crate) model: Vec<String>,
    /// Folder with stems that were estimated before, DIR/SONG/vocals.wav and so on; may be repeated
    #[arg(long, value_name = "DIR", help_heading = ESTIMATES)]
    pub(crate) estimates: Vec<PathBuf>,
    /// Only these stems, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "STEMS", help_heading = ESTIMATES)]
    pub(crate) stems: Vec<Stem>,

    /// Folder for the scores of models: a later run with the same options continues there
    #[arg(short = 'o', long, value_name = "DIR", default_value = "evaluation", help_heading = OUTPUT)]
    pub(crate) results: PathBuf,
    /// Write the scores as a table to this file, too
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) csv: Option<PathBuf>,
    /// Print one JSON object per song and one with the summary
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// The parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subset {
    /// The folder test
    Test,
    /// The folder train
    Train,
    /// Both
    All,
}
