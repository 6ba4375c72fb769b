//! Runs a command and maps its result to an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Command};
use super::{devices, info, models, separate};
use crate::service;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    SomeFailed = 1,
    Usage = 2,
    Weights = 3,
    AllFailed = 4,
    Device = 5,
    Interrupted = 130,
}

/// Runs the command.
pub fn run(cli: Cli) -> ExitCode {
    let exit = match cli.command {
        Command::Separate(args) => separate::run(&args),
        Command::Models(args) => models::run(args.command),
        Command::Devices { json } => devices::run(json),
        Command::Info { files, json } => info::run(&files, json),
        Command::Backup { kept, dir } => return service::backup(&kept, &dir),
        Command::Restore { kept, dir } => return service::restore(&kept, &dir),
        Command::Invite { kept, of } => return service::invite(&kept, of),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vocalizer", &mut out);
            print(&out)
        }
        Command::Man { command } => man(command.as_deref()),
    };
    ExitCode::from(exit as u8)
}

/// Prints the manual page `vocalizer.1`, or `vocalizer-<command>.1`.
fn man(command: Option<&str>) -> Exit {
    let mut cli = Cli::command();
    cli.build();
    let Some(page) = command.map_or(Some(&cli), |name| cli.find_subcommand(name)) else {
        let names: Vec<_> = cli.get_subcommands().map(clap::Command::get_name).collect();
        eprintln!("vocalizer: unknown command; expected one of {}", names.join(", "));
        return Exit::Usage;
    };
    let mut out = Vec::new();
    match clap_mangen::Man::new(page.clone()).render(&mut out) {
        Ok(()) => print(&out),
        Err(e) => print_error(&e),
    }
}

fn print(bytes: &[u8]) -> Exit {
    match io::stdout().write_all(bytes) {
        Ok(()) => Exit::Done,
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(e) => print_error(&e),
    }
}

fn print_error(e: &dyn std::fmt::Display) -> Exit {
    eprintln!("vocalizer: {e}");
    Exit::AllFailed
}
