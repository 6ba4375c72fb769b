//! Compares the network with the reference, module by module.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde_json::Value;

use super::{Scnet, ScnetConfig, layout, refuse_variants};
use crate::dsp::spectra::{Spectra, Window};
use crate::networks::Watcher;
use crate::weights::WeightsError;
use crate::weights::{Dtype, Tensors};

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

/// The tensors of a safetensors file, or others, in memory.
#[derive(Default)]
pub(super) struct Memory(pub(super) BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Memory {
    fn read(file: &str) -> (Self, Value) {
        let bytes = std::fs::read(golden(file)).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = header.metadata().as_ref().and_then(|m| m.get("config")).map_or("null", String::as_str);
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(key, view)| {
            let values = view.data().to_vec().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (key, (view.shape().to_vec(), values))
        });
        (Self(tensors.collect()), serde_json::from_str(text).unwrap())
    }

    fn values(&self, key: &str) -> &[f32] {
        &self.0[key].1
    }
}

impl Tensors for Memory {
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.0.get(key).map(|(shape, _)| shape.as_slice())
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.0.get(key).map(|_| Dtype::F32)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let (_, values) = self.0.get(key).ok_or_else(|| WeightsError::MissingKey(key.into()))?;
        Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

fn decibels(reference: &[f32], got: &[f32]) -> f64 {
    assert_eq!(reference.len(), got.len());
    let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
    let error: f64 = reference.iter().zip(got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
    10.0 * (signal / error.max(1e-300)).log10()
}

/// A tiny network of the reference, and its inputs and outputs.
struct Case {
    config: ScnetConfig,
    weights: Memory,
    golden: Memory,
    traces: BTreeMap<String, Trace>,
}

impl Case {
    fn read(name: &str) -> Self {
        let (weights, config) = Memory::read(&format!("{name}.safetensors"));
        let (golden, _) = Memory::read(&format!("{name}.golden.safetensors"));
        let traces = std::fs::read(self::golden(&format!("{name}.traces.json"))).unwrap();
        let config = ScnetConfig::from_json(&config).unwrap();
        Self { config, weights, golden, traces: serde_json::from_slice(&traces).unwrap() }
    }

    fn network(&self, device: &Device) -> Scnet {
        Scnet::load(&self.config, &self.weights, device, DType::F32).unwrap()
    }

    fn spectra(&self) -> Spectra {
        Spectra::new(self.config.nfft, self.config.hop, Window::Ones, self.config.normalized)
    }

    /// Returns the spectrum of a padded chunk, `[4, bins, frames]`.
    fn spectrum(&self, chunk: &str) -> Vec<f32> {
        let samples = self.golden.values(chunk);
        let (left, right) = samples.split_at(samples.len() / 2);
        let padded = self.config.padded(left.len());
        let channels = [left, right].map(|channel| {
            let mut channel = channel.to_vec();
            channel.resize(padded, 0.0);
            channel
        });
        self.spectra().analyse_all(&channels)
    }

    /// Runs the network on a spectrum `[4, bins, frames]`.
    fn forward(&self, device: &Device, spectrum: Vec<f32>, watcher: &mut dyn Watcher) -> Vec<f32> {
        let bins = self.config.bins();
        let shape = [1, 4, bins, spectrum.len() / (4 * bins)];
        let spectrum = Tensor::from_data(TensorData::new(spectrum, shape), device);
        self.network(device).forward(spectrum, watcher).try_into_data().unwrap().try_into_vec().unwrap()
    }

    /// Separates a chunk and returns its stems in decibels from the reference's.
    fn stems(&self, device: &Device, chunk: &str, watcher: &mut dyn Watcher) -> f64 {
        let samples = self.golden.values(chunk).len() / 2;
        let out = self.forward(device, self.spectrum(chunk), watcher);
        let signals = 2 * self.config.stems.len();
        let mut stems = Vec::new();
        for planes in out.chunks_exact(out.len() / signals) {
            let mut signal = vec![0.0; self.config.padded(samples)];
            self.spectra().synthesise(planes, &mut signal);
            stems.extend_from_slice(&signal[..samples]);
        }
        decibels(self.golden.values(&format!("{chunk}_stems")), &stems)
    }

    fn compare(name: &str, chunks: &[&str]) {
        let case = Self::read(name);
        let device = Device::flex();
        for chunk in chunks {
            let mut comparison = Comparison { traces: &case.traces, seen: BTreeSet::new(), worst: f64::MAX };
            let watcher: &mut dyn Watcher = if *chunk == "chunk" { &mut comparison } else { &mut () };
            let db = case.stems(&device, chunk, watcher);
            println!("{name}: {chunk} at {db:.1} dB of the reference");
            assert!(db >= 110.0, "{chunk}: {db:.1} dB");
            if *chunk == "chunk" {
                println!("{name}: {} modules at {:.1} dB or more", comparison.seen.len(), comparison.worst);
                // An LSTM here does not return its last cells, and the rest is not a module.
                let is_module = |name: &&String| !name.ends_with("#2") || !name.contains("lstm");
                let other = ["input.spectrogram", "output.spectrogram", "output"];
                let expected: BTreeSet<&String> = case.traces.keys().filter(is_module).collect();
                let missing: Vec<_> = expected.iter().filter(|name| !comparison.seen.contains(**name)).collect();
                assert!(missing.iter().all(|name| other.contains(&name.as_str())), "not compared: {missing:?}");
            }
        }
        let spectrum = case.golden.values("spectrum");
        let db = decibels(spectrum, &case.spectrum("chunk"));
        assert!(db >= 110.0, "the spectrum: {db:.1} dB");
        let out = case.forward(&device, spectrum.to_vec(), &mut ());
        let frames = spectrum.len() / (4 * case.config.bins());
        let rows = out.chunks_exact(frames).enumerate();
        let picked: Vec<f32> = rows
            .filter(|(row, _)| (row % case.config.bins()).is_multiple_of(4))
            .flat_map(|(_, row)| row)
            .copied()
            .collect();
        let db = decibels(case.golden.values("out_spectrum_bins"), &picked);
        println!("{name}: the network alone at {db:.1} dB of the reference");
        assert!(db >= 110.0, "{db:.1} dB");
    }
}

/// Compares every module's output with its trace.
struct Comparison<'a> {
    traces: &'a BTreeMap<String, Trace>,
    seen: BTreeSet<String>,
    worst: f64,
}

impl Watcher for Comparison<'_> {
    fn output(&mut self, name: &str, values: &dyn Fn() -> TensorData) {
        // The reference traces single units of one module only.
        let Some(trace) = self.traces.get(name) else {
            assert!(name.contains(".layers."), "the reference has no module {name}");
            return;
        };
        let data = values();
        // Some reference shapes leave out the batch, here of one chunk.
        assert_eq!(data.shape().to_vec(), trace.shape, "{name}");
        let values: Vec<f32> = data.try_into_vec().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let std = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - trace.mean).abs() < 1e-5 * trace.std, "{name}: mean {mean}, not {}", trace.mean);
        assert!((std / trace.std - 1.0).abs() < 1e-5, "{name}: deviation {std}, not {}", trace.std);
        let picked: Vec<f32> = values.iter().step_by(trace.stride).take(64).copied().collect();
        let reference: Vec<f32> = trace.values.iter().map(|&v| v as f32).collect();
        let db = decibels(&reference, &picked);
        assert!(db >= 105.0, "{name}: {db:.1} dB");
        self.worst = self.worst.min(db);
        self.seen.insert(name.into());
    }
}

#[test]
fn layout_of_small_model_matches_reference() {
    Case::compare("tiny-scnet", &["chunk", "chunk2", "chunk3"]);
}

#[test]
fn layout_of_xl_model_matches_reference() {
    Case::compare("tiny-scnet-norm", &["chunk"]);
}

#[test]
fn layouts_match_the_files() {
    for name in ["tiny-scnet", "tiny-scnet-norm"] {
        let (weights, config) = Memory::read(&format!("{name}.safetensors"));
        let shapes: BTreeMap<String, Vec<usize>> =
            weights.0.iter().map(|(key, (shape, _))| (key.clone(), shape.clone())).collect();
        assert_eq!(layout(&ScnetConfig::from_json(&config).unwrap()), shapes, "{name}");
        refuse_variants(weights.0.keys().map(String::as_str)).unwrap();
    }
}

/// The numbers of tensors of the published models.
#[test]
fn layouts_of_published_models_have_their_size() {
    let count = |config| layout(&ScnetConfig::from_json(&config).unwrap()).len();
    assert_eq!(count(serde_json::json!({})), 372);
    let xl = serde_json::json!({"model": {"conv_depths": [3, 3, 3], "num_dplayer": 8}});
    assert_eq!(count(xl), 510);
}

#[test]
fn related_networks_are_refused_by_name() {
    for (key, name) in [
        ("pos_embed_f", "scnet_masked"),
        ("mask_layer.0.weight", "scnet_masked"),
        ("separation_net.dp_modules.0.time_layer.norm.gamma", "scnet_tran"),
    ] {
        let error = refuse_variants(["encoder.0.globalconv.bias", key].into_iter()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let mut case = Case::read("tiny-scnet");
    let key = "separation_net.dp_modules.1.lstm_layers.0.bias_hh_l0_reverse";
    let load = |case: &Case| Scnet::load(&case.config, &case.weights, &Device::flex(), DType::F32).unwrap_err();
    case.weights.0.insert(key.into(), (vec![3], vec![0.0; 3]));
    assert!(matches!(load(&case), WeightsError::WrongShape { key: wrong, .. } if wrong == key));
    case.weights.0.remove(key);
    assert!(matches!(load(&case), WeightsError::MissingKey(missing) if missing == key));
}

/// A batch gives the same as its chunks one by one.
#[test]
fn chunks_of_a_batch_do_not_mix() {
    let case = Case::read("tiny-scnet-norm");
    let device = Device::flex();
    let one = case.spectrum("chunk");
    let other: Vec<f32> = one.iter().map(|v| 0.5 - v).collect();
    let shape = [2, 4, case.config.bins(), one.len() / (4 * case.config.bins())];
    let both = Tensor::from_data(TensorData::new([one.clone(), other.clone()].concat(), shape), &device);
    let both: Vec<f32> = case.network(&device).forward(both, &mut ()).into_data().try_into_vec().unwrap();
    let apart = [one, other].map(|spectrum| case.forward(&device, spectrum, &mut ())).concat();
    assert_eq!(both, apart);
}

/// The default operations on a GPU, or on software Vulkan.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[test]
fn gpu_matches_reference() {
    let Some((crate::gpus::Gpu { device, .. }, _one)) = crate::gpus::for_tests() else {
        assert!(std::env::var_os("VOCALIZER_TEST_GPU").is_none(), "neither a GPU nor software Vulkan found");
        println!("skipped: neither a GPU nor software Vulkan found");
        return;
    };
    let db = Case::read("tiny-scnet").stems(&Device::from(device), "chunk", &mut ());
    println!("the GPU at {db:.1} dB of the reference");
    assert!(db >= 90.0, "{db:.1} dB");
}
