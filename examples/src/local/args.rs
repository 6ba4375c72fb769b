//! Arguments of the commands that work on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vocalizer_model::weights::Terms;

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
    /// Audio track, from 1 [default: the file's default track]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) track: Option<u32>,
    /// Print one JSON object per file
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `models`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Models {
    /// The subcommand; lists the models if omitted
    #[command(subcommand)]
    pub(crate) command: Option<ModelsCommand>,
    /// The options of `models list`
    #[command(flatten)]
    pub(crate) list: ModelsList,
}

/// The options of `models list`.
#[derive(Debug, Args)]
pub(crate) struct ModelsList {
    /// List only models whose licence is of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) licence: Option<TermsArg>,
    /// Print one JSON object per model, with all that is known about it
    #[arg(long)]
    pub(crate) json: bool,
}

/// Kinds of licences.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TermsArg {
    /// Any use, if the text of the licence is kept
    Permissive,
    /// What is derived has the same licence
    Copyleft,
    /// For research
    Research,
    /// No licence is stated
    NotStated,
}

impl From<TermsArg> for Terms {
    fn from(terms: TermsArg) -> Self {
        match terms {
            TermsArg::Permissive => Self::Permissive,
            TermsArg::Copyleft => Self::Copyleft,
            TermsArg::Research => Self::ResearchOnly,
            TermsArg::NotStated => Self::NotStated,
        }
    }
}

/// The subcommands of `models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models: size, cost, quality, licence, stems, and whether they have been fetched or imported
    List(ModelsList),
    /// Print all that is known about a model: stems, cost, licence, published quality, sources and digests
    Show {
        /// The model
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model's weights
    Fetch {
        /// The model
        name: String,
        /// Fetch the weights even if no licence is stated for them; needed once per model
        #[arg(long)]
        accept_licence: bool,
    },
    /// Print the path of a model's weights
    Path {
        /// The model
        name: String,
    },
    /// Import a checkpoint of an SCNet, BS-RoFormer or Mel-Band RoFormer
    Import(Box<ModelsImport>),
}

/// The options of `models import`.
#[derive(Debug, Args)]
pub(crate) struct ModelsImport {
    /// The checkpoint: .ckpt, .pth or .safetensors
    pub(crate) checkpoint: PathBuf,
    /// The configuration that it was trained with: the .yaml published next to it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Name of the new model: a-z, 0-9, dot, hyphen and underscore
    #[arg(long)]
    pub(crate) name: String,
    /// Terms of use of the weights, shown in the list of models
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// Round the weights to half precision [default: only if that is exact]
    #[arg(long, value_enum, value_name = "PRECISION")]
    pub(crate) precision: Option<StoredPrecision>,
    /// Replace an imported model of this name
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Precisions to which weights can be rounded.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StoredPrecision {
    /// Half precision.
    F16,
}
