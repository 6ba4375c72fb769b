//! The programs in C and Python, with a tiny model.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in test helpers")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STEMS: [&str; 4] = ["drums", "bass", "other", "vocals"];

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shared library that was built with this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let name =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libvocalizer_c"));
    let libraries = std::fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path());
    let libraries =
        libraries.filter(|path| name(path) && path.extension().is_some_and(|end| end == "so" || end == "dylib"));
    libraries.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("the shared library")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a command that must fail, and returns its error.
fn error(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn c_program_splits_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (program, library) = (dir.path().join("split"), library());
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(file("examples/split.c")).arg(&library);
    compiler.arg("-lm").arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()));
    run(&mut compiler);
    let output = run(Command::new(&program).arg(file("../tests/golden/tiny-4s.safetensors")));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, [&STEMS[..], &["done"]].concat());
    assert_eq!(text.lines().last(), Some("done 1.00"));

    let missing = error(Command::new(&program).arg("/missing.safetensors"));
    assert!(missing.starts_with("cannot load the model: ") && missing.contains("missing.safetensors"), "{missing}");
}

#[test]
fn python_program_splits_a_wav_file() {
    let dir = tempfile::tempdir().unwrap();
    let song = dir.path().join("song.wav");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "sine=frequency=300:duration=2", "-ac", "2", "-ar", "48000"]);
    run(ffmpeg.arg(&song));
    let stems = dir.path().join("stems");
    let mut python = Command::new("python3");
    python.arg(file("examples/split.py")).arg(library()).arg(file("../tests/golden/tiny-4s.safetensors"));
    let output = run(python.args([&song, &stems]));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed.lines().map(PathBuf::from).collect::<Vec<_>>(),
        STEMS.map(|stem| stems.join(format!("{stem}.wav")))
    );
    for stem in STEMS {
        // A header of 44 bytes, and two channels of 16 bits.
        let size_bytes = stems.join(format!("{stem}.wav")).metadata().unwrap().len();
        assert_eq!(size_bytes, 44 + 2 * 48_000 * 4, "{stem}");
    }
}
