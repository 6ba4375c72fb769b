//! Compares the networks with the reference, module by module.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use super::config::Family;
use super::model::sequences;
use super::{Roformer, RoformerConfig, is_optional, layout};
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

/// The tensors of a file in memory.
struct Stored {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: Metadata,
}

impl Stored {
    fn open(name: &str) -> Self {
        let bytes = std::fs::read(golden(name)).unwrap();
        let tensor = |(key, view): (&str, safetensors::tensor::TensorView<'_>)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (key.to_owned(), (view.shape().to_vec(), values))
        };
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(tensor).collect();
        Self { tensors, metadata: SafeTensors::read_metadata(&bytes).unwrap().1 }
    }

    fn metadata(&self, key: &str) -> &str {
        &self.metadata.metadata().as_ref().unwrap()[key]
    }

    fn values(&self, key: &str) -> &[f32] {
        &self.tensors[key].1
    }

    /// Returns the channels of a signal `[2, samples]`.
    fn signal(&self, key: &str) -> [Vec<f32>; 2] {
        let (left, right) = self.values(key).split_at(self.tensors[key].0[1]);
        [left.to_vec(), right.to_vec()]
    }

    /// Returns a spectrum or mask `[.., bins, frames, re/im]` with its parts before its bins: `[1, .., 4, bins,
    /// frames]`.
    fn parts(&self, key: &str) -> Tensor<4> {
        let (shape, values) = &self.tensors[key];
        let [.., bins, frames, _] = shape[..] else { panic!("{key}: {shape:?}") };
        let all = values.len() / (2 * bins * frames);
        let x = Tensor::<4>::from_data(TensorData::new(values.clone(), [all, bins, frames, 2]), &Device::flex());
        x.permute([0, 3, 1, 2]).reshape([1, 2 * all, bins, frames])
    }
}

impl Tensors for Stored {
    fn keys(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.tensors.get(key).map(|(shape, _)| shape.as_slice())
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.tensors.get(key).map(|_| Dtype::F32)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let (_, values) = self.tensors.get(key).ok_or_else(|| WeightsError::MissingKey(key.into()))?;
        Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

fn decibels(reference: &[f32], got: &[f32]) -> f64 {
    assert_eq!(reference.len(), got.len());
    let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
    let error: f64 = reference.iter().zip(got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
    10.0 * (signal / error.max(1e-300)).log10()
}

/// A network with its configuration and reference data.
struct Case {
    name: &'static str,
    config: RoformerConfig,
    network: Roformer,
    golden: Stored,
    traces: BTreeMap<String, Trace>,
    device: Device,
}

impl Case {
    fn open(name: &'static str, device: Device) -> Self {
        let weights = Stored::open(&format!("{name}.safetensors"));
        let config = serde_json::from_str(weights.metadata("config")).unwrap();
        let config = RoformerConfig::from_json(&config, weights.metadata("family")).unwrap();
        check_keys(&config, &weights);
        let stems: Vec<usize> = (0..config.stems.len()).collect();
        let network = Roformer::load(&config, &stems, &weights, &device, DType::F32).unwrap();
        Self {
            name,
            config,
            network,
            golden: Stored::open(&format!("{name}.golden.safetensors")),
            traces: serde_json::from_slice(&std::fs::read(golden(&format!("{name}.traces.json"))).unwrap()).unwrap(),
            device,
        }
    }

    fn spectra(&self) -> Spectra {
        Spectra::new(self.config.nfft, self.config.hop, Window::Hann, false)
    }

    fn all(&self) -> Vec<usize> {
        (0..self.config.stems.len()).collect()
    }

    fn spectrum(&self, signal: &[Vec<f32>; 2]) -> Tensor<4> {
        let spectra = self.spectra();
        let shape = [1, 4, spectra.bins(), spectra.frames(signal[0].len())];
        Tensor::from_data(TensorData::new(spectra.analyse_all(signal), shape), &self.device)
    }

    /// Separates one chunk; the result is `[stems, 2, samples]`.
    fn separate(&self, signal: &[Vec<f32>; 2], watcher: &mut dyn Watcher) -> Vec<f32> {
        let planes = floats(self.network.forward(self.spectrum(signal), &self.all(), watcher));
        let (spectra, samples) = (self.spectra(), self.config.output_frames(signal[0].len()));
        let mut out = vec![f32::NAN; 2 * self.config.stems.len() * samples];
        let planes = planes.chunks_exact(planes.len() / (2 * self.config.stems.len()));
        planes.zip(out.chunks_exact_mut(samples)).for_each(|(planes, out)| spectra.synthesise(planes, out));
        out
    }

    fn check(&self, what: &str, got: &[f32], least_db: f64) {
        let db = decibels(self.golden.values(what), got);
        println!("{} {what}: {db:.1} dB", self.name);
        assert!(db >= least_db, "{} {what}: {db:.1} dB", self.name);
    }
}

/// Checks that the file has the tensors of the layout and no others.
fn check_keys(config: &RoformerConfig, weights: &Stored) {
    let layout = layout(config);
    for (key, shape) in &layout {
        match weights.shape(key) {
            Some(found) => assert_eq!(found, shape, "{key}"),
            None => assert!(is_optional(key), "{key}"),
        }
    }
    weights.tensors.keys().for_each(|key| assert!(layout.contains_key(key), "{key}"));
}

/// Compares outputs of modules with their traces.
struct Comparison<'a> {
    traces: &'a BTreeMap<String, Trace>,
    prefix: &'static str,
    seen: RefCell<usize>,
}

impl Comparison<'_> {
    fn of<'a>(case: &'a Case, prefix: &'static str) -> Comparison<'a> {
        Comparison { traces: &case.traces, prefix, seen: RefCell::default() }
    }

    fn compare(&self, name: &str, data: TensorData) {
        let name = format!("{}{name}", self.prefix);
        let Some(trace) = self.traces.get(&name) else { panic!("the reference has no module {name}") };
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
        assert!(db >= 105.0, "{name}: {db:.1} dB");
        *self.seen.borrow_mut() += 1;
    }
}

impl Watcher for Comparison<'_> {
    fn output(&mut self, name: &str, values: &dyn Fn() -> TensorData) {
        self.compare(name, values());
    }
}

/// Moves the parts `[1, 2 * channels, bins, frames]` of a spectrum to its end, as in the traces.
fn complex(x: Tensor<4>) -> TensorData {
    let [_, parts, bins, frames] = x.dims();
    x.reshape([parts / 2, 2, bins, frames]).permute([0, 2, 3, 1]).into_data()
}

/// Compares the parts of the first layer, which `Watcher` does not see. Only the first layer has traces of its parts.
fn compare_first_layer(case: &Case, spectrum: Tensor<4>, comparison: &Comparison<'_>) {
    let mut x = case.network.band_split.forward(spectrum);
    for (axis, transformer) in case.network.layers[0].iter().enumerate() {
        for (index, block) in transformer.blocks.iter().enumerate() {
            let at = format!("layers.0.{axis}.layers.{index}");
            let y = block.attend(x.clone(), transformer.axis);
            comparison.compare(&format!("{at}.0"), sequences(&(y.clone() - x), transformer.axis));
            x = block.feed(y.clone());
            comparison.compare(&format!("{at}.1"), sequences(&(x.clone() - y), transformer.axis));
        }
        if let Some(norm) = &transformer.norm {
            x = norm.forward(x);
        }
    }
}

/// Compares everything about one chunk. Returns the number of modules compared.
fn chunk(case: &Case) -> usize {
    let signal = case.golden.signal("chunk");
    let mut comparison = Comparison::of(case, "");
    case.check("chunk_stems", &case.separate(&signal, &mut comparison), 110.0);
    let spectrum = case.spectrum(&signal);
    comparison.compare("input.spectrogram", complex(spectrum.clone()));
    compare_first_layer(case, spectrum, &comparison);
    case.check("mask", &mask(case, "spectrum", &case.all()), 110.0);
    *comparison.seen.borrow()
}

/// Returns the mask of stems for a stored spectrum, in the stored layout.
fn mask(case: &Case, spectrum: &str, stems: &[usize]) -> Vec<f32> {
    let features = case.network.features(case.golden.parts(spectrum), &mut ());
    let mask = |&stem: &usize| complex(case.network.mask(features.clone(), stem, &mut ()));
    stems.iter().map(mask).flat_map(|data| data.try_into_vec::<f32>().unwrap()).collect()
}

#[test]
fn tiny_bs_matches_reference_per_module() {
    let case = Case::open("tiny-bs", Device::flex());
    assert_eq!((case.config.family, case.config.zero_dc), (Family::Bs, false));
    // Input, band split, 2 × 2 transformers, 2 × 2 parts of the first layer, final norm, 2 estimators.
    assert_eq!(chunk(&case), 1 + 1 + 4 + 4 + 1 + 2);
    case.check("tone_mask_stem0", &mask(&case, "tone_spectrum", &[0]), 110.0);
    case.check("tone_stems", &case.separate(&case.golden.signal("tone"), &mut ()), 15.0);
}

#[test]
fn tiny_bs_512_matches_reference_per_module() {
    let case = Case::open("tiny-bs-512", Device::flex());
    assert!(case.config.skip_connection && case.config.zero_dc && case.config.stems == ["Vocals"]);
    assert_eq!(chunk(&case), 1 + 1 + 6 + 4 + 1 + 1);
}

#[test]
fn tiny_mel_matches_reference_per_module() {
    let case = Case::open("tiny-mel", Device::flex());
    assert_eq!(chunk(&case), 1 + 1 + 4 + 4 + 1);
    case.check("chunk2_stems", &case.separate(&case.golden.signal("chunk2"), &mut ()), 110.0);
}

#[test]
fn tiny_mel_2_matches_reference_per_module() {
    let case = Case::open("tiny-mel-2", Device::flex());
    assert_eq!(case.config.axis_depths, [2, 1]);
    assert_eq!(chunk(&case), 1 + 1 + 4 + 6 + 2);
}

/// Eight seconds of noise from a linear congruential generator.
#[test]
fn long_chunk_matches_reference_per_module() {
    let case = Case::open("tiny-bs", Device::flex());
    let mut state = 0_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((f64::from(state >> 8) / 16_777_216.0) - 0.5) as f32
    };
    let samples = 8 * 44_100;
    let (left, right): (Vec<f32>, Vec<f32>) = (0..samples).map(|_| (next(), next())).unzip();
    let signal = [left, right];
    let mut comparison = Comparison::of(&case, "long.");
    let stems = case.separate(&signal, &mut comparison);
    let shape = [case.config.stems.len(), 2, samples];
    comparison.compare("output", TensorData::new(stems, shape));
    compare_first_layer(&case, case.spectrum(&signal), &comparison);
    assert_eq!(*comparison.seen.borrow(), 1 + 4 + 4 + 1 + 2 + 1);
}

#[test]
fn one_stem_of_two_is_the_same_as_of_both() {
    let case = Case::open("tiny-mel-2", Device::flex());
    let spectrum = case.spectrum(&case.golden.signal("chunk"));
    let both = case.network.forward(spectrum.clone(), &[0, 1], &mut ());
    let weights = Stored::open("tiny-mel-2.safetensors");
    let network = Roformer::load(&case.config, &[1], &weights, &case.device, DType::F32).unwrap();
    let second = network.forward(spectrum, &[1], &mut ());
    assert_eq!(floats(second), floats(both.narrow(1, 4, 4)));
}

#[test]
fn batch_gives_the_same_as_single_chunks() {
    let case = Case::open("tiny-mel", Device::flex());
    let one = case.spectrum(&case.golden.signal("chunk"));
    let two = case.spectrum(&case.golden.signal("chunk").map(|channel| channel.into_iter().rev().collect()));
    let both = case.network.forward(Tensor::cat(vec![one.clone(), two.clone()], 0), &[0], &mut ());
    for (index, spectrum) in [one, two].into_iter().enumerate() {
        let single = floats(case.network.forward(spectrum, &[0], &mut ()));
        let db = decibels(&single, &floats(both.clone().narrow(0, index, 1)));
        assert!(db > 120.0, "{db:.1} dB");
    }
}

#[test]
fn other_files_are_refused() {
    let weights = Stored::open("tiny-bs.safetensors");
    let config = serde_json::from_str(weights.metadata("config")).unwrap();
    let mut config = RoformerConfig::from_json(&config, "bs_roformer").unwrap();
    config.dim = 16;
    let load = |config: &RoformerConfig| Roformer::load(config, &[0], &weights, &Device::flex(), DType::F32);
    assert!(matches!(load(&config), Err(WeightsError::WrongShape { .. })));
    (config.dim, config.depth) = (8, 3);
    assert!(matches!(load(&config), Err(WeightsError::MissingKey(_))));
}

/// Burn's operations on a GPU.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[test]
fn tiny_mel_2_matches_reference_on_gpu() {
    let Some((gpu, _one)) = crate::gpus::for_tests() else {
        assert!(std::env::var_os("VOCALIZER_TEST_GPU").is_none(), "neither a GPU nor software Vulkan found");
        println!("skipped: neither a GPU nor software Vulkan found");
        return;
    };
    let case = Case::open("tiny-mel-2", Device::from(gpu.device));
    case.check("chunk_stems", &case.separate(&case.golden.signal("chunk"), &mut ()), 90.0);
}
