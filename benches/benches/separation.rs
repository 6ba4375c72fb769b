//! Benchmarks of separation with the published weights: one segment and one minute.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use vocalizer_benches::{separate, song_frames, tone};
use vocalizer_model::Model;

fn songs(c: &mut Criterion) {
    let model = Model::named("htdemucs").expect("the weights of htdemucs");
    let mut group = c.benchmark_group("separate");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_secs(1));
    for (name, frames) in [("segment", song_frames(&model, 1)), ("minute", 60 * model.rate_hz() as usize)] {
        let song = tone(frames);
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(name, |b| b.iter(|| separate(&model, &song, false)));
    }
}

criterion_group!(benches, songs);
criterion_main!(benches);
