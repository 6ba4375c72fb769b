//! Runs the command.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::args::{Cli, Command, command};
use crate::exit::{Exit, failed};
use crate::output::{self, errln, print};
use crate::{local, remote, service};

/// Runs the command that the arguments name. The first argument is the program's name; if it is `client`, the command is
/// `remote`, so that a link of that name serves callers of the original system's client.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<_> = args.into_iter().collect();
    if args.first().is_some_and(|program| Path::new(program).file_stem().is_some_and(|name| name == "client")) {
        args.insert(1, "remote".into());
    }
    let cli = Cli::from_arg_matches(&command().get_matches_from(args)).unwrap_or_else(|error| error.exit());
    let code = dispatch(cli.command);
    match output::failure() {
        Some(error) => {
            errln!("vocalizer: cannot write to standard output: {error}");
            Exit::Failed.into()
        }
        None => code,
    }
}

fn dispatch(chosen: Command) -> ExitCode {
    match chosen {
        #[cfg(feature = "separate")]
        Command::Separate(args) => local::separate(&args).into(),
        #[cfg(feature = "separate")]
        Command::Watch(args) => local::watch(&args).into(),
        Command::Models(args) => local::models(&args).into(),
        #[cfg(feature = "separate")]
        Command::Evaluate(args) => local::evaluate(&args).into(),
        #[cfg(feature = "separate")]
        Command::Devices(args) => local::devices(&args).into(),
        Command::Info(args) => local::info(&args).into(),
        Command::Serve(args) => service::serve(&args),
        #[cfg(feature = "separate")]
        Command::Worker(args) => service::worker(&args),
        Command::Remote(args) => remote::run(&args),
        Command::Admin(args) => service::admin(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "vocalizer", &mut script);
            print(&String::from_utf8_lossy(&script));
            ExitCode::SUCCESS
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
            errln!("vocalizer: unknown command; expected one of {}", known.join(", "));
            return Exit::Usage.into();
        };
        page = found;
    }
    let mut text = Vec::new();
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => {
            print(&String::from_utf8_lossy(&text));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// Rejects a command that this build lacks.
#[cfg(not(feature = "separate"))]
fn other(args: &[OsString]) -> ExitCode {
    let name = args.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    match &*name {
        "separate" | "watch" | "evaluate" | "devices" | "worker" => {
            errln!("vocalizer: this build lacks `{name}`; build with `--features separate`");
        }
        _ => errln!("vocalizer: unknown command {name:?}; see `vocalizer --help`"),
    }
    Exit::Usage.into()
}
