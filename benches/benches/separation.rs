//! Separation with the published weights: one segment, one minute, and what a segment is made of.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use vocalizer_model::audio::Frame;
use vocalizer_model::{Model, Separation, SeparationOptions, SongStatistics};

fn model() -> Model {
    Model::named("htdemucs").expect("the weights of htdemucs")
}

/// A tone, as good as any music to a network whose work does not depend on what it hears.
fn tone(frames: usize) -> Vec<Frame> {
    (0..frames).map(|n| (n as f32 * 0.05).sin()).map(|x| [x, 0.5 * x]).collect()
}

/// Separates all of it and throws the stems away.
fn separate(model: &Model, song: &[Frame]) {
    let statistics = SongStatistics { frames: song.len() as u64, mean: 0.0, std: 0.5 };
    let mut separation =
        Separation::new(model, model.sources(), statistics, &SeparationOptions::default()).expect("options that fit");
    let mut stems = vec![Vec::new(); model.sources().len()];
    separation.push(song);
    while separation.step() {
        separation.drain(&mut stems);
        stems.iter_mut().for_each(Vec::clear);
    }
    assert!(separation.is_done(), "the whole song is separated");
}

fn songs(c: &mut Criterion) {
    let model = model();
    let mut group = c.benchmark_group("separate");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_secs(1));
    // With an overlap of a quarter, three quarters of a segment are what one run of the network separates.
    for (name, frames) in [("segment", model.segment_frames() * 3 / 4), ("minute", 60 * model.rate_hz() as usize)] {
        let song = tone(frames);
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(name, |b| b.iter(|| separate(&model, &song)));
    }
}

/// The parts of one segment, each with its own statistics.
fn parts(c: &mut Criterion) {
    let model = model();
    let mut group = c.benchmark_group("part");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_secs(1));
    for part in ["stft", "encoder", "transformer", "decoder", "inverse stft"] {
        group.bench_function(part, |b| {
            b.iter_custom(|times| {
                let took =
                    |_| model.profile_segment().into_iter().filter(|(name, _)| *name == part).map(|(_, took)| took);
                (0..times).flat_map(took).sum()
            });
        });
    }
}

criterion_group!(benches, songs, parts);
criterion_main!(benches);
