//! `client`: talks to a Vocalizer server from the command line.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::client::{self, Cli};

fn main() -> ExitCode {
    client::run(Cli::parse())
}
