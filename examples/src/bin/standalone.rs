//! `standalone`: the whole service in one process.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, StandaloneArgs};

/// All of Vocalizer in one process: server, queue and worker. Works without any options.
#[derive(Debug, Parser)]
#[command(name = "standalone", version, max_term_width = 100)]
struct Standalone {
    #[command(flatten)]
    args: StandaloneArgs,
}

fn main() -> ExitCode {
    service::standalone(&Standalone::parse().args)
}
