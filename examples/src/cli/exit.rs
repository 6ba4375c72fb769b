//! From a command to its exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Command};
use super::{info, models, separate};

/// How a command ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    SomeFailed = 1,
    Usage = 2,
    Weights = 3,
    AllFailed = 4,
    Interrupted = 130,
}

/// Runs the command.
pub fn run(cli: Cli) -> ExitCode {
    let exit = match cli.command {
        Command::Separate(args) => separate::run(&args),
        Command::Models(args) => models::run(args.command),
        Command::Info { files, json } => info::run(&files, json),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vocalizer", &mut out);
            print(&out)
        }
        Command::Man => {
            let mut out = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut out) {
                Ok(()) => print(&out),
                Err(e) => complain(&e),
            }
        }
    };
    ExitCode::from(exit as u8)
}

fn print(bytes: &[u8]) -> Exit {
    match io::stdout().write_all(bytes) {
        Ok(()) => Exit::Done,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(e) => complain(&e),
    }
}

fn complain(e: &dyn std::fmt::Display) -> Exit {
    eprintln!("vocalizer: {e}");
    Exit::AllFailed
}
