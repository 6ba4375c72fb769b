//! Arguments of the commands that work on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
