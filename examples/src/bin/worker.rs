//! `worker`: splits songs for a server.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, WorkerArgs};

/// Vocalizer's worker: receives songs over RabbitMQ or HTTP, splits them and uploads the stems to the server. Workers
/// can be added and removed at any time.
#[derive(Debug, Parser)]
#[command(name = "worker", version, max_term_width = 100)]
struct Worker {
    #[command(flatten)]
    args: WorkerArgs,
}

fn main() -> ExitCode {
    service::worker(&Worker::parse().args)
}
