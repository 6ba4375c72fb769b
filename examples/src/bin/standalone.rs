//! `standalone`: the whole service in one process.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, StandaloneArgs};

/// The whole of Vocalizer in one process: server, queue and worker. Without any option it just works.
#[derive(Debug, Parser)]
#[command(name = "standalone", version, max_term_width = 100)]
struct Standalone {
    #[command(flatten)]
    args: StandaloneArgs,
}

fn main() -> ExitCode {
    service::standalone(&Standalone::parse().args)
}
