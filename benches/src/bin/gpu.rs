//! Benchmarks htdemucs on each GPU: accuracy, speed and memory. Prints tables for `benches/README.md`; run by
//! `benches/gpu.sh`, which also runs PyTorch.

use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use safetensors::SafeTensors;
use vocalizer_benches::{separate, song_frames, tone};
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Frame};
use vocalizer_model::{ComputeOptions, Error, Model, Precision, SplitOptions, Stem, devices, split_file};

type Failure = Box<dyn std::error::Error>;

/// Frames of four minutes.
const FOUR_MINUTES: usize = 4 * 60 * 44_100;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--first", device, precision] => {
            let model = model(device, precision.parse()?, None)?;
            separate(&model, &tone(song_frames(&model, 1)), false)?;
            println!("done");
            return Ok(());
        }
        ["--row", device, precision, batch] => {
            println!("{}", row(device, precision.parse()?, batch.parse()?)?);
            return Ok(());
        }
        _ => {}
    }
    let cards = devices().into_iter().filter(|device| device.id != "cpu").filter(|device| match &arguments[..] {
        [] => !device.is_software,
        ids => ids.contains(&device.id),
    });
    let cards: Vec<_> = cards.collect();
    if cards.is_empty() {
        return Err("no GPU found; pass device IDs from 'vocalizer devices' to benchmark other devices".into());
    }
    println!("| device | precision | SNR against the original (dB) | batch | ms per segment | x real time | memory |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for card in &cards {
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            for batch in [1, 2, 4, 8] {
                // Use a separate process for each row, so that cached memory does not carry over.
                let arguments = ["--row", &card.id, &precision.to_string(), &batch.to_string()];
                match Command::new(std::env::current_exe()?)
                    .args(arguments)
                    .output()
                    .map_err(Into::into)
                    .and_then(last_line)
                {
                    Ok(row) => println!("| {} | {precision} | {row} |", card.id),
                    Err(error) => println!("| {} | {precision} | {error} | {batch} | | | |", card.id),
                }
            }
        }
    }
    println!("\n| device | precision | first segment, cold (s) | warm (s) |\n|---|---|---:|---:|");
    for card in &cards {
        for precision in ["f32", "f16"] {
            match first(&card.id, precision) {
                Ok([cold, warm]) => println!("| {} | {precision} | {cold:.2} | {warm:.2} |", card.id),
                Err(error) => println!("| {} | {precision} | {error} | |", card.id),
            }
        }
    }
    println!();
    cards.iter().for_each(|card| println!("{}: {}", card.id, card.name));
    Ok(())
}

fn model(device: &str, precision: Precision, batch: Option<usize>) -> Result<Model, Error> {
    let mut compute = ComputeOptions::default();
    compute.device = device.parse()?;
    compute.precision = precision;
    compute.batch = batch;
    Model::named_with("htdemucs", &compute)
}

fn row(device: &str, precision: Precision, batch: usize) -> Result<String, Failure> {
    let model = model(device, precision, Some(batch))?;
    let fits = model.batches()[0];
    let song = tone(FOUR_MINUTES);
    separate(&model, &tone(song_frames(&model, 2 * fits)), false)?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let began = Instant::now();
        separate(&model, &song, false)?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    let segments = song.len().div_ceil(song_frames(&model, 1)) as f64;
    let memory = model.memory_bytes()[0].map_or("?".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    let decibels = decibels(&model)?;
    Ok(format!("{decibels:.1} | {fits} | {:.1} | {:.0} | {memory}", 1e3 * best / segments, 240.0 / best))
}

/// Returns the signal-to-noise ratio of the golden mix's stems against the original's, in dB over all four.
fn decibels(model: &Model) -> Result<f64, Failure> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden");
    let golden = std::env::var_os("VOCALIZER_GOLDEN").map_or(golden, Into::into);
    let dir = tempfile::tempdir()?;
    let mut options = SplitOptions::default();
    options.format = AudioFormat::WavF32;
    split_file(model, &golden.join("mix.flac"), dir.path(), &options)?;
    let bytes = std::fs::read(golden.join("htdemucs.stems-16th.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = file.tensor("stems")?;
    let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let frames = *tensor.shape().last().ok_or("no shape")?;
    let (mut signal, mut apart) = (0.0, 0.0);
    for (stem, reference) in Stem::FOUR.iter().zip(values.chunks(2 * frames)) {
        let mut reader = AudioReader::open(&dir.path().join(format!("{stem}.wav")), &AudioLimits::default())?;
        let mut ours: Vec<Frame> = Vec::new();
        while reader.read(&mut ours)? {}
        for (i, frame) in ours.iter().step_by(16).enumerate() {
            for (side, value) in frame.iter().enumerate() {
                let expected = f64::from(reference[side * frames + i]);
                signal += expected.powi(2);
                apart += (expected - f64::from(*value)).powi(2);
            }
        }
    }
    Ok(10.0 * (signal / apart).log10())
}

/// Measures the seconds from process start to the end of the first segment, first with an empty driver cache of compiled
/// kernels, then with a warm one.
fn first(device: &str, precision: &str) -> Result<[f64; 2], Failure> {
    let cache = tempfile::tempdir()?;
    let one = || -> Result<f64, Failure> {
        let began = Instant::now();
        let ended = Command::new(std::env::current_exe()?)
            .args(["--first", device, precision])
            // The caches of NVIDIA and Mesa.
            .env("CUDA_CACHE_PATH", cache.path())
            .env("__GL_SHADER_DISK_CACHE_PATH", cache.path())
            .env("MESA_SHADER_CACHE_DIR", cache.path())
            .output()?;
        let took = began.elapsed().as_secs_f64();
        last_line(ended).map(|_| took)
    };
    Ok([one()?, one()?])
}

/// Returns the last line of a process's output, or of its errors if it failed.
fn last_line(ended: Output) -> Result<String, Failure> {
    let last = |text: &[u8]| String::from_utf8_lossy(text).lines().last().map(str::to_owned);
    if ended.status.success() {
        return last(&ended.stdout).ok_or_else(|| "no output".into());
    }
    Err(last(&ended.stderr).unwrap_or_else(|| "failed without a message".to_owned()).into())
}
