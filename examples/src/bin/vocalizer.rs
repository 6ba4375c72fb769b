//! `vocalizer`: splits songs into stems from the command line.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
