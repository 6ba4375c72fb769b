//! Benchmarks of resampling and of writing and reading files, with a minute of stereo each.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, Frame, Resampler, StemWriter};

const RATE_HZ: u32 = 44_100;
const FRAMES: usize = 60 * RATE_HZ as usize;

fn song() -> Vec<Frame> {
    let voice = |n: usize, step: f32| (n as f32 * step).sin() * 0.3;
    (0..FRAMES).map(|n| [voice(n, 0.05) + voice(n, 0.31), voice(n, 0.05) + voice(n, 0.47)]).collect()
}

fn resample(c: &mut Criterion) {
    let song = song();
    let mut group = c.benchmark_group("resample");
    group.sample_size(10).throughput(Throughput::Elements(FRAMES as u64));
    for from_hz in [22_050, 48_000, 96_000] {
        group.bench_function(format!("{from_hz} Hz"), |b| {
            b.iter(|| {
                let mut resampler = Resampler::new(from_hz, RATE_HZ).expect("a resampler");
                let mut out = Vec::new();
                for block in song.chunks(4_096) {
                    out.clear();
                    resampler.push(block, &mut out).expect("a pushed block");
                }
                resampler.finish(&mut out).expect("a finished stream");
            });
        });
    }
}

fn files(c: &mut Criterion) {
    let song = song();
    let dir = tempfile::tempdir().expect("a folder");
    for (name, format) in [
        ("wav", AudioFormat::Wav16),
        ("flac", AudioFormat::Flac),
        ("mp3 320", AudioFormat::Mp3(Bitrate::Cbr(320))),
        ("mp3 v2", AudioFormat::Mp3(Bitrate::Vbr(2))),
    ] {
        let path = dir.path().join(name);
        let write = || {
            let mut writer = StemWriter::create(&path, format, RATE_HZ).expect("a writer");
            song.chunks(4_096).for_each(|block| writer.write(block).expect("a written block"));
            writer.finish().expect("a finished file");
        };
        write();
        let mut group = c.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(FRAMES as u64));
        group.bench_function("write", |b| b.iter(write));
        group.bench_function("read", |b| {
            b.iter(|| {
                let mut reader = AudioReader::open(&path, &AudioLimits::default()).expect("a readable file");
                let mut block = Vec::new();
                while reader.read(&mut block).expect("a readable block") {
                    block.clear();
                }
            });
        });
    }
}

criterion_group!(benches, resample, files);
criterion_main!(benches);
