//! Runs the command.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::args::{Cli, Command, command};
use crate::exit::{Exit, print_error};
use crate::{local, remote, service};

/// Runs the command that the arguments name. The first argument is the program's name; if it is `client`, the command is
/// `remote`, so that a link of that name serves callers of the original system's client.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<_> = args.into_iter().collect();
    if args.first().is_some_and(|program| Path::new(program).file_stem().is_some_and(|name| name == "client")) {
        args.insert(1, "remote".into());
    }
    let cli = Cli::from_arg_matches(&command().get_matches_from(args)).unwrap_or_else(|error| error.exit());
    match cli.command {
        #[cfg(feature = "separate")]
        Command::Separate(args) => local::separate(&args).into(),
        Command::Models(args) => local::models(&args).into(),
        #[cfg(feature = "separate")]
        Command::Devices(args) => local::devices(&args).into(),
        Command::Info(args) => local::info(&args).into(),
        Command::Serve(args) => service::serve(&args),
        #[cfg(feature = "separate")]
        Command::Worker(args) => service::worker(&args),
        Command::Remote(args) => remote::run(&args),
        Command::Admin(args) => service::admin(&args),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut command(), "vocalizer", &mut out);
            print(&out)
        }
        Command::Man { command } => man(&command),
        #[cfg(not(feature = "separate"))]
        Command::Other(args) => other(&args),
    }
}

/// Prints the manual page `vocalizer.1`, or `vocalizer-<command>.1`.
fn man(names: &[String]) -> ExitCode {
    let mut page = command();
    page.build();
    for name in names {
        let Some(found) = page.find_subcommand(name).cloned() else {
            let known: Vec<_> = page.get_subcommands().map(clap::Command::get_name).collect();
            eprintln!("vocalizer: unknown command; expected one of {}", known.join(", "));
            return Exit::Usage.into();
        };
        page = found;
    }
    let mut out = Vec::new();
    match clap_mangen::Man::new(page).render(&mut out) {
        Ok(()) => print(&out),
        Err(error) => unprintable(&error),
    }
}

fn print(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => unprintable(&error),
    }
}

fn unprintable(error: &io::Error) -> ExitCode {
    print_error(error);
    Exit::AllFailed.into()
}

/// Rejects a command that this build lacks.
#[cfg(not(feature = "separate"))]
fn other(args: &[OsString]) -> ExitCode {
    let name = args.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    match &*name {
        "separate" | "devices" | "worker" => {
            eprintln!("vocalizer: this build lacks `{name}`; build with `--features separate`");
        }
        _ => eprintln!("vocalizer: unknown command {name:?}; see `vocalizer --help`"),
    }
    Exit::Usage.into()
}
