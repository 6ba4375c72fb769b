//! The command line.

#[cfg(not(feature = "separate"))]
use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::local;
use crate::remote::Remote;
#[cfg(feature = "separate")]
use crate::service::WorkerArgs;
use crate::service::{Admin, ServeArgs};

const EXAMPLES: &str = "\
Exit codes (`remote --help` lists those of its commands):
  0    success
  1    failure, or some inputs failed
  2    invalid command line or setting
  3    the weights could not be found, fetched or loaded
  4    all inputs failed
  5    the device is missing or not usable
  130  interrupted

Examples:
  vocalizer separate song.mp3                on this machine
  vocalizer serve                            the service, on http://127.0.0.1:8000
  vocalizer remote upload song.mp3 --wait    with a service elsewhere";

#[cfg(feature = "separate")]
const SEPARATE: &str = "\
Exit codes:
  0    success
  1    some inputs failed
  2    invalid command line, or options that the model does not support
  3    the weights could not be found, fetched or loaded
  4    all inputs failed
  5    the device is missing or not usable
  130  interrupted

Examples:
  vocalizer separate song.mp3
  vocalizer separate album/ -o stems --format flac
  vocalizer separate song.wav --two-stems vocals --format mp3 --bitrate 256
  vocalizer separate - --stems vocals -o - < song.mp3 > vocals.wav

The usual options of Demucs work, too: `alias demucs='vocalizer separate'`.";

#[cfg(feature = "separate")]
const WATCH: &str = "\
A song is split once, also if the program is started again. Ctrl-C ends the program.

Example:
  vocalizer watch inbox -o stems --format flac";

#[cfg(feature = "separate")]
const EVALUATE: &str = "\
A model's scores are kept in the folder of results, so a run that was interrupted continues where it stopped. Songs that
cannot be scored are named and left out.

Exit codes:
  0    success
  1    some songs could not be scored
  2    invalid command line, or nothing that can be compared
  3    the weights could not be found, fetched or loaded
  4    no song could be scored
  5    the device is missing or not usable
  130  interrupted

Examples:
  vocalizer evaluate --dataset musdb18hq --csv scores.csv
  vocalizer evaluate --dataset musdb18hq --model htdemucs --model htdemucs_ft --limit 10
  vocalizer evaluate --dataset musdb18hq --estimates stems-of-another-program";

const VARIABLES: &str =
    "Each option can also be set by the environment variable of the same name: --data-dir is DATA_DIR.";

const MORE: &str = "`--help` lists all options.";

/// Splits songs into stems: vocals, drums, bass and other.
#[derive(Debug, Parser)]
#[command(name = "vocalizer", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Split songs into stems, written to DIR/<song>/<stem>.<ext>
    #[cfg(feature = "separate")]
    #[command(after_help = SEPARATE, override_usage = "vocalizer separate [OPTIONS] <INPUT>...")]
    Separate(Box<local::Separate>),
    /// Split the songs that are put into a folder, until interrupted
    #[cfg(feature = "separate")]
    #[command(after_help = WATCH)]
    Watch(Box<local::Watch>),
    /// List models, fetch or import their weights and print their paths
    Models(local::Models),
    /// Score models on songs with true stems
    #[cfg(feature = "separate")]
    #[command(after_help = EVALUATE)]
    Evaluate(Box<local::Evaluate>),
    /// List compute devices
    #[cfg(feature = "separate")]
    Devices(local::Devices),
    /// Show a file's format, tracks, sample rate, channels, duration, tempo, key, hash and damage
    Info(local::Info),
    #[cfg_attr(feature = "separate", doc = "Run the service: server, queue and a worker in one process")]
    #[cfg_attr(
        not(feature = "separate"),
        doc = "Run the service: server and queue. This build has no worker: songs wait for `vocalizer worker`"
    )]
    Serve(Box<ServeArgs>),
    /// Split songs for a service elsewhere. Workers can be added and removed at any time
    #[cfg(feature = "separate")]
    Worker(Box<WorkerArgs>),
    /// Use a service elsewhere: upload songs, wait until they are split and download their stems
    Remote(Remote),
    /// Maintain a service's storage: migrate, back up, restore, invite
    Admin(Admin),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program or of a command
    Man {
        /// The command, as in `vocalizer man separate` or `vocalizer man remote upload`
        command: Vec<String>,
    },
    /// Commands that this build lacks
    #[cfg(not(feature = "separate"))]
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Returns the command line with the notes on environment variables.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "serve" | "worker" => {
            let short = format!("{VARIABLES}\n{MORE}");
            without_variables(command).after_help(short).after_long_help(VARIABLES)
        }
        "admin" => {
            without_variables(command).after_help(VARIABLES).mut_subcommands(|group| match group.has_subcommands() {
                // The storage of a group of commands may be named after the command, too.
                true => group.mut_args(|arg| arg.global(true)),
                false => group,
            })
        }
        _ => command,
    })
}

/// Leaves out the environment variables, which have the options' names.
fn without_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env(true)).mut_subcommands(without_variables)
}

#[cfg(test)]
mod tests {
    use super::command;

    /// The `vocalizer` command lines in the code blocks of a page.
    #[cfg(feature = "separate")]
    fn command_lines(page: &str) -> Vec<Vec<&str>> {
        let is_assignment = |word: &&str| {
            word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        let mut found = Vec::new();
        for block in page.split("```").skip(1).step_by(2) {
            for line in block.replace("\\\n", " ").leak().lines() {
                let line = line.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
                for part in line.split(['|', '&', ';', '>']) {
                    let words = part.split_whitespace().skip_while(is_assignment);
                    let words: Vec<_> = words.map(|word| word.trim_matches('\'')).collect();
                    if words.first() == Some(&"vocalizer") {
                        found.push(words);
                    }
                }
            }
        }
        found
    }

    #[cfg(feature = "separate")]
    #[test]
    fn documented_commands_are_valid() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages = vec![root.join("README.md"), root.join("demo/README.md")];
        pages.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
        let mut checked = 0;
        for path in pages.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
            let page = std::fs::read_to_string(path).unwrap();
            for words in command_lines(&page) {
                let id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
                let words = words.iter().map(|&word| if word == "ID" { id } else { word });
                if let Err(error) = command().try_get_matches_from(words.clone()) {
                    let line: Vec<_> = words.collect();
                    panic!("{}: {}\n{error}", path.display(), line.join(" "));
                }
                checked += 1;
            }
        }
        assert!(checked > 40, "{checked} commands found");
    }

    #[test]
    fn options_have_the_names_of_their_variables() {
        let mut command = command();
        command.build();
        for name in ["serve", "worker"] {
            let Some(command) = command.find_subcommand(name) else { continue };
            for option in command.get_arguments() {
                let long = option.get_long().expect("serve and worker take no positional arguments");
                let variable = option.get_env().map(|variable| variable.to_string_lossy().into_owned());
                match long {
                    "help" | "version" | "check-config" => assert_eq!(variable, None),
                    _ => assert_eq!(variable, Some(long.to_ascii_uppercase().replace('-', "_")), "--{long} of {name}"),
                }
            }
        }
    }
}
