//! The binary, songs for it, and what it left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Frame, StemWriter};

pub(crate) const RATE_HZ: u32 = 44_100;
pub(crate) const STEMS: [&str; 4] = ["bass", "drums", "other", "vocals"];

/// A network small enough to run in a moment.
pub(crate) fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden/tiny-4s.safetensors")
}

/// A folder to call the command in, with a cache of its own and no hub to reach.
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

    /// A file made by ffmpeg.
    pub(crate) fn ffmpeg(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new("ffmpeg");
        let done = command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]).args(arguments).arg(&path);
        assert!(done.status().expect("ffmpeg, which ./test installs").success());
        path
    }

    /// `vocalizer`, to be run in this folder.
    pub(crate) fn command(&self) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_vocalizer")))
    }

    /// A program that runs `vocalizer` in its turn.
    pub(crate) fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("VOCALIZER_CACHE", self.path("cache")).env("VOCALIZER_HUB", "http://127.0.0.1:9");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments))
    }

    /// `vocalizer separate` with the tiny network.
    pub(crate) fn separate(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(["separate", "--model"]).arg(tiny()).args(arguments))
    }

    /// Every file below a folder, sorted, as paths from there; nothing where it is missing.
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
        found.sort();
        found
    }
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().expect("a command that runs").into()
    }

    /// The lines of standard error that tell of errors.
    pub(crate) fn errors(&self) -> Vec<&str> {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err.lines().filter(|line| line.starts_with("vocalizer: ")).collect()
    }

    /// Ended with `code` and with one error, in a line that holds each of these.
    pub(crate) fn failed(&self, code: i32, holds: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let [line] = self.errors()[..] else { panic!("one error in one line: {}", self.err) };
        for text in holds {
            assert!(line.contains(text), "{text:?} in {line:?}");
        }
    }

    pub(crate) fn done(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.errors(), [""; 0], "{self:?}");
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A stem's frames and its rate.
pub(crate) fn read(path: &Path) -> (Vec<Frame>, u32) {
    let mut reader = AudioReader::open(path, &AudioLimits::default())
        .unwrap_or_else(|e| panic!("{} is a stem: {e}", path.display()));
    let mut frames = Vec::new();
    while reader.read(&mut frames).expect("a whole file") {}
    (frames, reader.info().rate_hz)
}
