//! `server`: the backend by itself, for workers elsewhere.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, ServerCommand, ServiceArgs};

/// Takes songs in, hands out stems, and takes results from workers elsewhere.
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
