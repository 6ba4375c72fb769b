//! The tiny models, splitting helpers, and the reference numbers.

use safetensors::SafeTensors;
use tempfile::TempDir;
use vocalizer_model::audio::{AudioFormat, Frame};
use vocalizer_model::weights::{Cache, find};
use vocalizer_model::{ComputeOptions, Error, Model, Report, SplitOptions, Stem, split_file};

use crate::audio::support::{read, write};
pub(crate) use crate::weights::support::golden;

pub(crate) fn tiny(name: &str) -> Model {
    tiny_on(name, &on("cpu")).expect("a tiny model")
}

pub(crate) fn tiny_on(name: &str, compute: &ComputeOptions) -> Result<Model, Error> {
    Model::from_file(&golden(&format!("{name}.safetensors")), compute)
}

/// Compute options for a device.
pub(crate) fn on(device: &str) -> ComputeOptions {
    let mut compute = ComputeOptions::default();
    compute.device = device.parse().expect("a device's name");
    compute
}

/// Prints a row of the table of exactness, which `-- --nocapture` shows, and checks it.
pub(crate) fn check(case: &str, device: &str, what: &str, decibels: f64, least: f64) {
    println!("| {case} | {device} | {what} | {decibels:.1} dB | at least {least} |");
    assert!(decibels >= least, "{case} on {device}, {what}: {decibels:.1} dB");
}

/// The published weights if they are cached; `./test` fetches and requires them.
pub(crate) fn published(compute: &ComputeOptions) -> Option<Model> {
    let spec = find("htdemucs").expect("a known model");
    let cache = Cache::locate().expect("a cache");
    if cache.has(spec) {
        return Some(Model::cached(spec, &cache, compute).expect("a model"));
    }
    assert!(std::env::var_os("VOCALIZER_TEST_WEIGHTS").is_none(), "the weights are not in the cache");
    println!("skipped: the weights of htdemucs are not in the cache");
    None
}

/// One tensor `[…, 2, frames]` of a reference file, as a list of signals.
pub(crate) fn reference(file: &str, name: &str) -> Vec<Vec<Frame>> {
    let bytes = std::fs::read(golden(file)).expect("reference numbers");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = tensors.tensor(name).expect("a tensor of this name");
    let frames = *tensor.shape().last().expect("a shape");
    let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let signals = values.chunks(2 * frames);
    signals.map(|signal| (0..frames).map(|i| [signal[i], signal[frames + i]]).collect()).collect()
}

/// Options for exact comparisons: float output, whatever the peak.
pub(crate) fn floats() -> SplitOptions {
    let mut options = SplitOptions::default();
    options.format = AudioFormat::WavF32;
    options
}

/// Options for comparisons with the reference implementation, which gives every stem the whole DC of the song.
pub(crate) fn as_reference() -> SplitOptions {
    let mut options = floats();
    options.separation.reference_dc = true;
    options
}

/// Writes `song` as a float WAV, splits it and keeps the stems.
pub(crate) fn split(model: &Model, song: &[Frame], rate_hz: u32, options: &SplitOptions) -> Split {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::WavF32, rate_hz, song);
    let report = split_file(model, &input, &dir.path().join("stems"), options).expect("a split song");
    Split { report, dir }
}

pub(crate) struct Split {
    pub(crate) report: Report,
    pub(crate) dir: TempDir,
}

impl Split {
    pub(crate) fn stem(&self, stem: Stem) -> Vec<Frame> {
        self.file(&format!("{stem}.wav"))
    }

    pub(crate) fn file(&self, name: &str) -> Vec<Frame> {
        read(&self.dir.path().join("stems").join(name)).1
    }

    /// All written stems, concatenated.
    pub(crate) fn all(&self) -> Vec<Frame> {
        self.report.files.iter().flat_map(|file| read(file).1).collect()
    }
}

/// The largest sample of a signal.
pub(crate) fn peak(frames: &[Frame]) -> f32 {
    frames.iter().flatten().fold(0.0, |peak, x| peak.max(x.abs()))
}
