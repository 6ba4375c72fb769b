//! Times a network of full size with random weights.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use super::model::Scnet;
use super::{ScnetConfig, layout};
use crate::networks::Format;
use crate::networks::golden::Stored;
use crate::ops::{Keeper, Recording, roofline};

/// Returns the configuration of a published model.
fn config(size: &str) -> Value {
    match size {
        "small" => json!({}),
        "large" => json!({"model": {"dims": [4, 64, 128, 256], "band_SR": [0.225, 0.372, 0.403]}}),
        "xl" => json!({"model": {"dims": [4, 64, 128, 256], "band_SR": [0.23, 0.37, 0.4], "band_stride": [1, 4, 4],
            "band_kernel": [3, 4, 4], "conv_depths": [3, 3, 3], "num_dplayer": 8}}),
        other => panic!("size {other}: use small, large or xl"),
    }
}

/// Returns pseudorandom weights of about the size of trained ones.
fn weights(config: &ScnetConfig) -> Stored {
    let mut state = 1_u64;
    let tensors = layout(config).into_iter().map(|(key, shape)| {
        let terms: usize = shape[1..].iter().product();
        let values = (0..shape.iter().product::<usize>()).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) / (terms as f32).sqrt()
        });
        let values = values.collect();
        (key, (shape, values))
    });
    Stored(tensors.collect())
}

/// Prints the seconds per chunk and per operation: `VOCALIZER_SCNET_SIZE=large cargo test -p vocalizer-model --lib
/// times_a_chunk -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, which takes a minute"]
fn times_a_chunk() {
    let size = std::env::var("VOCALIZER_SCNET_SIZE").unwrap_or_else(|_| "small".into());
    let config = ScnetConfig::from_json(&config(&size)).unwrap();
    let device = Device::flex();
    let network = Scnet::load(&config, &weights(&config), &device, Format::F32).unwrap();
    let frames = config.padded(config.common.chunk_frames) / config.common.hop + 1;
    let _keeper = Keeper::default();
    let run = || {
        let spectrum =
            Tensor::random([1, 4, config.common.bins(), frames], burn::tensor::Distribution::Default, &device);
        let began = Instant::now();
        let out = network.all_stems(spectrum, &mut ());
        assert_eq!(out.dims()[1], 4 * config.common.stems.len());
        began.elapsed()
    };
    run();
    let mut recording = Recording::begin();
    let mut best = (Duration::MAX, Vec::new());
    for _ in 0..3 {
        let took = run();
        let records = recording.take();
        if took < best.0 {
            best = (took, records);
        }
    }
    let mut operations: BTreeMap<&str, (Duration, u64, usize)> = BTreeMap::new();
    for record in &best.1 {
        let sum = operations.entry(record.operation).or_default();
        *sum = (sum.0 + record.took, sum.1 + record.cost.flop, sum.2 + record.cost.values);
    }
    let peak = roofline::flop_per_second();
    let (took, flop) = (best.0.as_secs_f64(), operations.values().map(|o| o.1).sum::<u64>() as f64);
    for (name, (took, flop, values)) in operations {
        let took = took.as_secs_f64();
        let rate = flop as f64 / took / 1e9;
        println!("{name:20} {took:7.3} s {rate:7.1} GFLOP/s, {:.2} GB", values as f64 * 4e-9);
    }
    println!("{size}: {took:.3} s, {:.1} GFLOP/s of {:.1}, {:.1} GFLOP", flop / took / 1e9, peak / 1e9, flop / 1e9);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}
