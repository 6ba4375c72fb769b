//! `server`: the backend without a worker.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, ServerCommand, ServiceArgs};

/// Vocalizer's server: accepts songs, serves stems and receives results from separate workers.
#[derive(Debug, Parser)]
#[command(name = "server", version, max_term_width = 100)]
struct Server {
    #[command(flatten)]
    args: ServiceArgs,
    #[command(subcommand)]
    command: Option<ServerCommand>,
}

fn main() -> ExitCode {
    let Server { args, command } = Server::parse();
    service::server(&args, command.as_ref())
}
