//! Runs the binary on generated songs and reads its output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Frame, StemWriter};

pub(crate) const RATE_HZ: u32 = 44_100;
pub(crate) const STEMS: [&str; 4] = ["bass", "drums", "other", "vocals"];

/// A tiny model that runs in a moment.
pub(crate) fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden/tiny-4s.safetensors")
}

/// A temporary working folder with its own cache and an unreachable model hub.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a written file");
        path
    }

    pub(crate) fn song(&self, name: &str, frames: usize) -> PathBuf {
        let tone = |n: usize, step: f32| (n as f32 * step).sin() * 0.2;
        let song: Vec<_> = (0..frames).map(|n| [tone(n, 0.05) + tone(n, 0.3), tone(n, 0.05) - tone(n, 0.2)]).collect();
        self.frames(name, &song)
    }

    pub(crate) fn frames(&self, name: &str, frames: &[Frame]) -> PathBuf {
        let path = self.put(name, b"");
        let mut writer = StemWriter::create(&path, AudioFormat::WavF32, RATE_HZ).expect("a writer");
        writer.write(frames).expect("written frames");
        writer.finish().expect("a finished file");
        path
    }

    /// Creates a file with ffmpeg.
    pub(crate) fn ffmpeg(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new("ffmpeg");
        let done = command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]).args(arguments).arg(&path);
        assert!(done.status().expect("ffmpeg, which ./test installs").success());
        path
    }

    /// `vocalizer` with this folder as its working directory.
    pub(crate) fn command(&self) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_vocalizer")))
    }

    /// Prepares a command, such as a wrapper around `vocalizer`, to run in this folder.
    pub(crate) fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("VOCALIZER_CACHE", self.path("cache")).env("VOCALIZER_HUB", "http://127.0.0.1:9");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command().args(arguments))
    }

    /// Runs `vocalizer separate` with the tiny model.
    pub(crate) fn separate(&self, arguments: &[&str]) -> Run {
        Run::of(self.command().args(["separate", "--model"]).arg(tiny()).args(arguments))
    }

    /// All files below a folder as sorted relative paths, without manifests; empty if the folder is missing.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        let root = self.path(below);
        let (mut found, mut dirs) = (Vec::new(), vec![root.clone()]);
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => dirs.push(path),
                    false => found.push(path.strip_prefix(&root).expect("below").to_string_lossy().into_owned()),
                }
            }
        }
        found.retain(|path| path != MANIFEST && !path.ends_with(&format!("/{MANIFEST}")));
        found.sort();
        found
    }

    /// The manifest of a folder.
    pub(crate) fn manifest(&self, folder: &str) -> Value {
        let text = std::fs::read_to_string(self.path(folder).join(MANIFEST)).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs `vocalizer separate --json` with the tiny model and returns the events, with the run.
    pub(crate) fn events(&self, arguments: &[&str]) -> (Vec<Value>, Run) {
        let run = self.separate(&[arguments, &["--json"]].concat());
        (run.events(), run)
    }
}

/// Name of the manifest in an output folder.
pub(crate) const MANIFEST: &str = "vocalizer.json";

/// The events of one kind.
pub(crate) fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// The precision that `auto` takes on the CPU, and why, as `vocalizer devices` says it.
pub(crate) fn auto_on_cpu(place: &Place) -> (String, String) {
    let run = place.run(&["devices", "--json"]);
    run.succeeded();
    let cpu = run.events().into_iter().find(|device| device["id"] == "cpu").expect("the CPU");
    let text = |key: &str| cpu[key].as_str().expect("text").to_owned();
    (text("auto_precision"), text("auto_reason"))
}

/// The names of the inputs in the events of one kind, sorted.
pub(crate) fn inputs_of(events: &[Value], kind: &str) -> Vec<String> {
    let name =
        |event: &&Value| Path::new(event["input"].as_str().expect("a path")).file_name().expect("a name").to_owned();
    let mut names: Vec<_> =
        of_kind(events, kind).iter().map(|event| name(event).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Exit code and output of a finished run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().expect("a command that runs").into()
    }

    /// The lines of JSON on standard output.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The error lines on standard error.
    pub(crate) fn errors(&self) -> Vec<&str> {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err.lines().filter(|line| line.starts_with("vocalizer: ")).collect()
    }

    /// Asserts exit code `code` and exactly one error line, which contains every text in `holds`.
    pub(crate) fn failed(&self, code: i32, holds: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let [line] = self.errors()[..] else { panic!("expected one error line: {}", self.err) };
        for text in holds {
            assert!(line.contains(text), "{text:?} in {line:?}");
        }
    }

    /// Asserts that the command line was refused, with a message of the argument parser that contains every text in `holds`.
    pub(crate) fn misused(&self, holds: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        for text in holds {
            assert!(self.err.contains(text), "{text:?} in {}", self.err);
        }
    }

    pub(crate) fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.errors(), [""; 0], "{self:?}");
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Reads a stem's frames and sample rate.
pub(crate) fn read(path: &Path) -> (Vec<Frame>, u32) {
    let mut reader = AudioReader::open(path, &AudioLimits::default())
        .unwrap_or_else(|e| panic!("cannot read stem {}: {e}", path.display()));
    let mut frames = Vec::new();
    while reader.read(&mut frames).expect("a whole file") {}
    (frames, reader.info().rate_hz)
}
