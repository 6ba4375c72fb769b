//! The options of Demucs that have another name here.

use clap::Args;

/// Options of Demucs. They are not in the help: docs/demucs-options.md lists them.
#[derive(Debug, Args)]
pub(crate) struct DemucsArgs {
    /// The same as --format mp3
    #[arg(long, hide = true, conflicts_with_all = ["format", "flac"])]
    pub(crate) mp3: bool,
    /// The same as --format flac
    #[arg(long, hide = true, conflicts_with = "format")]
    pub(crate) flac: bool,
    /// The same as --format wav24
    #[arg(long, hide = true, conflicts_with_all = ["format", "float32"])]
    pub(crate) int24: bool,
    /// The same as --format wavf32
    #[arg(long, hide = true, conflicts_with = "format")]
    pub(crate) float32: bool,
    /// Quality of LAME's search
    #[arg(long, hide = true, value_name = "PRESET")]
    pub(crate) mp3_preset: Option<String>,
    /// The whole song in one segment
    #[arg(long, hide = true)]
    pub(crate) no_split: bool,
    /// Folder of models
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) repo: Option<String>,
    /// Signature of a model
    #[arg(short, long, hide = true, value_name = "SIGNATURE")]
    pub(crate) sig: Option<String>,
    /// Lists the models
    #[arg(long, hide = true)]
    pub(crate) list_models: bool,
}
