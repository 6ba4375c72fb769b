//! Readers that close their pipe early, and full disks.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use super::support::{Place, Run, tiny};

const COMMANDS: &[&[&str]] = &[
    &["--help"],
    &["models"],
    &["models", "--json"],
    &["models", "show", "scnet"],
    &["models", "path", "htdemucs"],
    &["devices"],
    &["devices", "--json"],
    &["info", "song.wav"],
    &["info", "--json", "song.wav"],
    &["completions", "bash"],
    &["man", "separate"],
    &["admin", "check-config"],
    &["worker", "--check-config", "--worker-token", "0123456789abcdef0123456789abcdef"],
];

/// The writing end of a pipe that has no reader.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

fn run_with(place: &Place, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Run {
    let mut command = place.command();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    prepare(&mut command);
    command.spawn().expect("a command that runs").wait_with_output().expect("its output").into()
}

#[test]
fn closed_standard_output_is_no_error() {
    let place = Place::new();
    place.song("song.wav", 1_000);
    for arguments in COMMANDS {
        let run = run_with(&place, arguments, |command| _ = command.stdout(closed_pipe()));
        assert_eq!((run.code, run.errors()), (Some(0), vec![]), "{arguments:?}: {run:?}");
    }
}

#[test]
fn lost_output_is_an_error() {
    let place = Place::new();
    place.song("song.wav", 1_000);
    for arguments in COMMANDS.iter().filter(|arguments| arguments != &&["--help"]) {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("the device");
        let run = run_with(&place, arguments, |command| _ = command.stdout(full));
        run.failed(1, &["cannot write to standard output"]);
    }
}

#[test]
fn separation_continues_without_readers_of_its_output() {
    for json in [&[][..], &["--json"]] {
        let place = Place::new();
        place.song("song.wav", 50_000);
        let model = tiny();
        let arguments = [&["separate", "--model", model.to_str().expect("text"), "song.wav"][..], json].concat();
        let run = run_with(&place, &arguments, |command| _ = command.stdout(closed_pipe()).stderr(closed_pipe()));
        assert_eq!(run.code, Some(0), "{arguments:?}");
        assert_eq!(place.files("separated").len(), 4, "{arguments:?}");
    }
}
