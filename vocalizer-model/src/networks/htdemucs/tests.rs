//! Compares the network with the reference, module by module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use safetensors::SafeTensors;

use crate::audio::{AudioLimits, AudioReader};
use crate::loaded_device::Part;
use crate::networks::Watcher;
use crate::weights::{Cache, find};
use crate::{ComputeOptions, Model};

#[derive(serde::Deserialize)]
struct Trace {
    shape: Vec<usize>,
    mean: f64,
    std: f64,
    stride: usize,
    values: Vec<f64>,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn traces(name: &str) -> BTreeMap<String, Trace> {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let bytes = file.tensor(name).unwrap().data().to_vec();
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn decibels(reference: &[f32], got: &[f32]) -> f64 {
    assert_eq!(reference.len(), got.len());
    let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
    let error: f64 = reference.iter().zip(got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
    10.0 * (signal / error.max(1e-300)).log10()
}

/// Compares every module's output with its trace.
struct Comparison<'a> {
    traces: &'a BTreeMap<String, Trace>,
    seen: usize,
}

impl Watcher for Comparison<'_> {
    fn output(&mut self, name: &str, values: &dyn Fn() -> TensorData) {
        let Some(trace) = self.traces.get(name) else { panic!("the reference has no module {name}") };
        let data = values();
        assert_eq!(data.shape().to_vec(), trace.shape, "{name}");
        let values: Vec<f32> = data.try_into_vec().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let std = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - trace.mean).abs() < 1e-4 * trace.std, "{name}: mean {mean}, not {}", trace.mean);
        assert!((std / trace.std - 1.0).abs() < 1e-4, "{name}: deviation {std}, not {}", trace.std);
        let picked: Vec<f32> = values.iter().step_by(trace.stride).take(64).copied().collect();
        let reference: Vec<f32> = trace.values.iter().map(|&v| v as f32).collect();
        let db = decibels(&reference, &picked);
        assert!(db > 90.0, "{name}: {db:.1} dB");
        self.seen += 1;
    }
}

/// Runs one segment and compares it module by module. Returns the number of modules, and the stems.
fn compare(model: &Model, segment: [Vec<f32>; 2], traces: &BTreeMap<String, Trace>) -> (usize, Vec<f32>) {
    let mut comparison = Comparison { traces, seen: 0 };
    let wanted: Vec<_> = (0..model.sources().len()).collect();
    let part = Part { network: 0, wanted: &wanted, segments: &[segment] };
    let out = model.cards[0].separate(&part, &mut comparison).unwrap();
    (comparison.seen, out.into_iter().flatten().flatten().flatten().collect())
}

fn tiny(name: &str, modules: usize) {
    let model = Model::from_file(&golden(&format!("{name}.safetensors")), &ComputeOptions::default()).unwrap();
    let bytes = std::fs::read(golden(&format!("{name}.golden.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let segment = floats(&file, "segment");
    let (left, right) = segment.split_at(segment.len() / 2);
    let traces = traces(&format!("{name}.traces.json"));
    let (seen, stems) = compare(&model, [left.to_vec(), right.to_vec()], &traces);
    assert_eq!(seen, modules, "modules compared");
    let db = decibels(&floats(&file, "segment_stems"), &stems);
    println!("{name}: one segment at {db:.1} dB of the reference, {seen} modules compared");
    assert!(db > 100.0, "{name}: {db:.1} dB");
}

#[test]
fn tiny_model_with_samplers_matches_reference_per_module() {
    // 4 × (tencoder, encoder, decoder, tdecoder), 3 × 2 transformer layers, 2 transformer outputs, 4 samplers.
    tiny("tiny-4s", 16 + 6 + 2 + 4);
}

#[test]
fn tiny_six_stem_model_matches_reference_per_module() {
    tiny("tiny-6s", 16 + 6 + 2);
}

/// Needs the published weights in the cache; `./test` downloads and requires them.
#[test]
fn published_model_matches_reference_per_module() {
    let spec = find("htdemucs").unwrap();
    let cache = Cache::locate().unwrap();
    if !cache.has(spec) {
        assert!(std::env::var_os("VOCALIZER_TEST_WEIGHTS").is_none(), "the weights are not in the cache");
        println!("skipped: the weights of htdemucs are not in the cache");
        return;
    }
    let model = Model::cached(spec, &cache, &ComputeOptions::default()).unwrap();
    let mut reader = AudioReader::open(&golden("mix.flac"), &AudioLimits::default()).unwrap();
    let mut song = Vec::new();
    while reader.read(&mut song).unwrap() {}
    let mono: Vec<f64> = song.iter().map(|[left, right]| f64::from((left + right) / 2.0)).collect();
    let n = mono.len() as f64;
    let mean = mono.iter().sum::<f64>() / n;
    let std = (mono.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let channel = |c: usize| {
        let segment = song.iter().take(model.segment_frames());
        segment.map(|frame| ((f64::from(frame[c]) - mean) / (1e-8 + std)) as f32).collect()
    };
    let (seen, _) = compare(&model, [channel(0), channel(1)], &traces("htdemucs.traces.json"));
    // As above, with 5 × 2 transformer layers.
    assert_eq!(seen, 16 + 10 + 2 + 4, "modules compared");
}
