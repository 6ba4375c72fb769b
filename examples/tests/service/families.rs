//! Models of other families and with other stems in the service: the program's `serve` and `worker`, with tiny networks.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Frame, StemWriter};

use super::support::{Browser, WORKER_TOKEN, id};

const RATE_HZ: u32 = 44_100;
const STEMS: [&str; 4] = ["drums", "bass", "other", "vocals"];

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden").join(name);
    path.to_str().unwrap().to_owned()
}

/// A folder with a cache of models, songs, stems and the data of a service.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("VOCALIZER_CACHE", self.path("cache")).env("VOCALIZER_HUB", "http://127.0.0.1:9");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn succeed(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn import(&self, model: &str, name: &str) {
        let [checkpoint, config] = ["ckpt", "yaml"].map(|ending| golden(&format!("{model}.{ending}")));
        self.succeed(&["models", "import", &checkpoint, "--config", &config, "--name", name]);
    }

    /// Writes a quiet song of noise, so that no stem clips.
    fn song(&self, frames: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0 * 0.04 - 0.02
        };
        let song: Vec<Frame> = (0..frames).map(|_| [next(), next()]).collect();
        self.write("song.wav", AudioFormat::Wav16, &song);
        std::fs::read(self.path("song.wav")).unwrap()
    }

    fn write(&self, name: &str, format: AudioFormat, frames: &[Frame]) {
        let mut writer = StemWriter::create(&self.path(name), format, RATE_HZ).unwrap();
        writer.write(frames).unwrap();
        writer.finish().unwrap();
    }

    fn read(&self, name: &str) -> Vec<Frame> {
        let mut reader = AudioReader::open(&self.path(name), &AudioLimits::default()).unwrap();
        let mut frames = Vec::new();
        while reader.read(&mut frames).unwrap() {}
        frames
    }

    fn decode(&self, bytes: &[u8]) -> Vec<Frame> {
        std::fs::write(self.path("decoded"), bytes).unwrap();
        self.read("decoded")
    }
}

/// A running `vocalizer serve`. Dropping it kills the process.
struct Serve {
    child: Child,
    browser: Browser,
    /// Kept open: the program prints more.
    _output: BufReader<ChildStdout>,
}

impl Serve {
    fn start(place: &Place, model: &str) -> Self {
        let mut command = place.command(&["serve", "--listen-addr", "127.0.0.1:0", "--data-dir", "data"]);
        let mut child = command.args(["--device", "cpu", "--model", model]).stdout(Stdio::piped()).spawn().unwrap();
        let (mut output, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        output.read_line(&mut line).unwrap();
        let base = line.trim().split_once("listens on ").unwrap_or_else(|| panic!("{line}")).1.to_owned();
        Self { child, browser: Browser::at(base), _output: output }
    }

    /// Uploads a song, waits until it is split and returns its stems.
    async fn split(&self, song: &[u8]) -> Vec<Vec<u8>> {
        let uploaded = self.browser.upload("x", song).await;
        self.browser.until(&uploaded, "SPLIT").await;
        let mut stems = Vec::new();
        for stem in STEMS {
            let answer = self.browser.get(&format!("/songs/{}/{stem}.wav", id(&uploaded))).await;
            assert_eq!(answer.status, 200, "{stem}: {answer:?}");
            stems.push(answer.bytes.to_vec());
        }
        stems
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ratio of the power of `signal` to that of the difference, in dB.
fn snr_db(signal: &[Frame], other: &[Frame]) -> f64 {
    assert_eq!(signal.len(), other.len());
    let power = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let difference = power(&mut signal.as_flattened().iter().zip(other.as_flattened()).map(|(a, b)| a - b));
    10.0 * (power(&mut signal.as_flattened().iter().copied()) / difference.max(1e-30)).log10()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn song_is_split_with_an_imported_model() {
    let place = Place::new();
    place.import("tiny-scnet", "my-scnet");
    let song = place.song(50_000);
    let options = ["--device", "cpu", "--format", "wav", "--no-tags"];
    place.succeed(&[&["separate", "song.wav", "-o", "out", "--model", "my-scnet"], &options[..]].concat());
    let stems = Serve::start(&place, "my-scnet").split(&song).await;
    let stems: Vec<_> = stems.iter().map(|bytes| place.decode(bytes)).collect();
    for (name, served) in STEMS.iter().zip(&stems) {
        let local = place.read(&format!("out/song/{name}.wav"));
        assert!(*served == local, "{name}: {} dB", snr_db(&local, served));
        // The stems differ, so none is taken for another.
        let others = stems.iter().zip(STEMS).filter(|(_, other)| other != name);
        others.for_each(|(other, _)| assert!(snr_db(served, other) < 10.0, "{name}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_stems_of_a_model_are_part_of_other() {
    let (place, model) = (Place::new(), golden("tiny-6s.safetensors"));
    let song = place.song(50_000);
    let options = ["--device", "cpu", "--format", "wavf32", "--model", &model];
    place.succeed(&[&["separate", "song.wav", "-o", "out"], &options[..]].concat());
    let stems = Serve::start(&place, &model).split(&song).await;
    let read = |name: &str| place.read(&format!("out/song/{name}.wav"));
    let others = ["other", "guitar", "piano"].map(read);
    let sum = |at: usize, channel: usize| others.iter().map(|stem| stem[at][channel]).sum::<f32>();
    let other: Vec<Frame> = (0..50_000).map(|at| [sum(at, 0), sum(at, 1)]).collect();
    for ((name, served), local) in STEMS.iter().zip(&stems).zip([read("drums"), read("bass"), other, read("vocals")]) {
        // This quiet song is at 47 dB of its 16 bits.
        let db = snr_db(&local, &place.decode(served));
        assert!(db > 40.0, "{name}: {db} dB");
    }
}

#[test]
fn model_without_the_four_stems_is_refused_at_the_start() {
    let (place, file) = (Place::new(), golden("tiny-mel.safetensors"));
    place.import("tiny-bs", "my-bs");
    let serve = ["serve", "--listen-addr", "127.0.0.1:0", "--data-dir", "data"];
    let worker = ["worker", "--worker-token", WORKER_TOKEN, "--backend-addr", "http://127.0.0.1:9"];
    for model in ["my-bs", &file] {
        for command in [&serve[..], &worker, &[&serve[..], &["--check-config"]].concat()] {
            let output = place.command(command).env("MODEL", model).output().unwrap();
            let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert_eq!((output.status.code(), &*out), (Some(2), ""), "{command:?}: {error}");
            for says in [
                "vocalizer: --model (MODEL): ",
                "drums, bass, other, vocals; this one has no drums, bass, only vocals, other",
                "Use htdemucs",
                &format!("`vocalizer separate -n {model}`"),
            ] {
                assert!(error.contains(says), "{command:?}: {says:?} in {error}");
            }
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(!place.path("data").exists(), "{command:?}");
        }
    }
    // A server without a worker has no model.
    place.succeed(&[&serve[..], &["--no-worker", "--check-config", "--model", "my-bs"]].concat());
}
