//! Songs from standard input and pipes, and a stem to standard output.

use std::fs::File;
use std::process::{Command, Stdio};

use super::support::{Place, Run, STEMS, read, tiny};

fn from_stdin(place: &Place, song: &str, arguments: &[&str]) -> Command {
    let mut command = place.command();
    command.args(["separate", "--model"]).arg(tiny()).args(arguments);
    command.stdin(File::open(place.path(song)).expect("the song"));
    command
}

#[test]
fn standard_input_is_a_song() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    let run = Run::of(&mut from_stdin(&place, "x.wav", &["-", "-o", "a"]));
    run.succeeded();
    assert_eq!(place.files("a"), STEMS.map(|stem| format!("stdin/{stem}.wav")));
    assert_eq!(read(&place.path("a/stdin/bass.wav")).0.len(), 3_000);
    Run::of(&mut from_stdin(&place, "x.wav", &["-", "-o", "a", "--stdin-name", "../My Song.mp3"])).succeeded();
    assert_eq!(place.files("a/My Song").len(), 4, "{:?}", place.files("a"));
    // The same stems as from the file, and done already.
    let run = Run::of(&mut from_stdin(&place, "x.wav", &["-", "-o", "a", "--skip-existing"]));
    run.succeeded();
    assert!(run.err.contains("-: skipped, done before in a/stdin"), "{}", run.err);
    place.separate(&["x.wav", "-o", "b"]).succeeded();
    let [piped, named] =
        ["a/stdin/bass.wav", "b/x/bass.wav"].map(|path| std::fs::read(place.path(path)).expect("a stem"));
    assert_eq!(piped, named);
}

#[test]
fn bad_standard_input_is_one_line() {
    let place = Place::new();
    place.put("text", b"This is not a song, but it is longer than a header would be, to make sure that it is read.");
    place.put("empty", b"");
    for (name, says) in [("text", "not an audio file"), ("empty", "empty")] {
        let run = Run::of(&mut from_stdin(&place, name, &["-"]));
        run.failed(4, &["cannot read -", says]);
        assert!(!run.err.contains("/vocalizer-"), "the temporary copy is not named: {}", run.err);
        assert_eq!(place.files("separated"), [""; 0]);
    }
}

#[cfg(unix)]
#[test]
fn pipes_are_songs() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    let made = Command::new("mkfifo").arg(place.path("pipe.wav")).status();
    assert!(made.expect("mkfifo").success());
    let mut shell = place.prepared(Command::new("sh"));
    let script = "cat x.wav > pipe.wav & exec \"$0\" separate pipe.wav --stems drums --model \"$1\"";
    Run::of(shell.args(["-c", script, env!("CARGO_BIN_EXE_vocalizer")]).arg(tiny())).succeeded();
    assert_eq!(read(&place.path("separated/pipe/drums.wav")).0.len(), 3_000);
}

/// A pipe has nothing left when it has been read, or waits for another writer.
#[cfg(unix)]
#[test]
fn pipes_are_read_once() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    let run = Run::of(&mut from_stdin(&place, "x.wav", &["-", "-", "--stems", "drums"]));
    run.failed(1, &["-: it can be read only once"]);
    assert_eq!(place.files("separated"), ["stdin/drums.wav"]);
    let made = Command::new("mkfifo").arg(place.path("pipe.wav")).status();
    assert!(made.expect("mkfifo").success());
    let mut shell = place.prepared(Command::new("sh"));
    let script = "cat x.wav > pipe.wav & exec \"$0\" separate pipe.wav ./pipe.wav --stems drums --model \"$1\"";
    let run = Run::of(shell.args(["-c", script, env!("CARGO_BIN_EXE_vocalizer")]).arg(tiny()));
    run.failed(1, &["./pipe.wav: it can be read only once"]);
    assert_eq!(place.files("separated"), ["pipe/drums.wav", "stdin/drums.wav"]);
}

#[cfg(unix)]
#[test]
fn devices_are_no_songs() {
    let place = Place::new();
    for device in ["/dev/zero", "/dev/null"] {
        place.separate(&[device]).failed(4, &[device, "a device"]);
    }
    assert_eq!(place.files("separated"), [""; 0]);
}

#[test]
fn one_stem_goes_to_standard_output() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    place.separate(&["x.wav", "-o", "a"]).succeeded();
    for (arguments, ending) in [(&["x.wav"][..], "wav"), (&["-"], "wav"), (&["x.wav", "--format", "flac"], "flac")] {
        let out = File::create(place.path("out")).expect("a file");
        let mut command = from_stdin(&place, "x.wav", arguments);
        let child = command.args(["-o", "-", "--stems", "drums"]).stdout(out).stderr(Stdio::piped()).spawn();
        let run = Run::from(child.expect("a child").wait_with_output().expect("an exit status"));
        assert_eq!(run.code, Some(0), "{run:?}");
        let piped = std::fs::read(place.path("out")).expect("a stem");
        let expected = match ending {
            "wav" => std::fs::read(place.path("a/x/drums.wav")).expect("a stem"),
            _ => {
                place.separate(&["x.wav", "-o", "b", "--format", ending]).succeeded();
                std::fs::read(place.path("b/x/drums.flac")).expect("a stem")
            }
        };
        assert!(piped == expected, "{arguments:?}: {} and {} bytes", piped.len(), expected.len());
    }
    assert_eq!(place.files("separated"), [""; 0]);
    assert_eq!(place.files("-"), [""; 0]);
}

#[test]
fn standard_output_takes_exactly_one_file() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    place.song("y.wav", 3_000);
    for (arguments, says) in [
        (&["x.wav"][..], "one stem"),
        (&["x.wav", "--stems", "drums,bass"], "one stem"),
        (&["x.wav", "--two-stems", "drums"], "one stem"),
        (&["x.wav", "--stems", "drums", "--mix-minus", "bass"], "one stem"),
        (&["x.wav", "y.wav", "--stems", "drums"], "2 songs"),
        (&["x.wav", "--stems", "drums", "--skip-existing"], "--skip-existing"),
        (&["x.wav", "--stems", "drums", "--profile-json", "profile"], "--profile-json"),
    ] {
        let run = place.separate(&[arguments, &["-o", "-"]].concat());
        run.failed(2, &[says]);
        assert_eq!(run.out, "", "{arguments:?}");
    }
    let run = place.separate(&["x.wav", "--stems", "drums", "-o", "-", "--json"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.out.contains("choose one"), "{}", run.out);
}

/// `script` gives the program a terminal.
#[cfg(target_os = "linux")]
#[test]
fn terminals_are_refused() {
    let place = Place::new();
    place.song("x.wav", 3_000);
    let program = env!("CARGO_BIN_EXE_vocalizer");
    for (arguments, says, code) in [
        ("x.wav --stems drums -o -", "standard output is a terminal", 2),
        ("- --stems drums", "standard input is a terminal", 4),
    ] {
        let line = format!("'{program}' separate --model '{}' {arguments}", tiny().display());
        let run = Run::of(place.prepared(Command::new("script")).args(["-qec", &line, "/dev/null"]));
        if run.err.contains("not found") {
            println!("skipped: no `script` here");
            return;
        }
        assert!(run.out.contains(says) && run.code == Some(code), "{arguments}: {run:?}");
    }
}

#[test]
fn closed_reader_of_a_stem_is_no_error() {
    let place = Place::new();
    place.song("x.wav", 100_000);
    let mut shell = place.prepared(Command::new("bash"));
    let script = "set -o pipefail; \"$0\" separate x.wav --stems drums -o - --model \"$1\" | head -c 100 | wc -c";
    let run = Run::of(shell.args(["-c", script, env!("CARGO_BIN_EXE_vocalizer")]).arg(tiny()));
    assert_eq!((run.code, run.out.trim()), (Some(0), "100"), "{run:?}");
}
