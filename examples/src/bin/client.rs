//! `client`: a command-line client for a Vocalizer server.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::client::{self, Cli};

fn main() -> ExitCode {
    client::run(Cli::parse())
}
