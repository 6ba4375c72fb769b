//! `worker`: splits songs for a server elsewhere.

use std::process::ExitCode;

use clap::Parser;
use vocalizer_examples::service::{self, WorkerArgs};

/// Takes songs from a server, over RabbitMQ or HTTP, splits them, and brings the stems back. Any number of workers may
/// come and go.
#[derive(Debug, Parser)]
#[command(name = "worker", version, max_term_width = 100)]
struct Worker {
    #[command(flatten)]
    args: WorkerArgs,
}

fn main() -> ExitCode {
    service::worker(&Worker::parse().args)
}
