//! Compares the networks with the reference: masks, parts of the first layer, and long chunks.

use burn::tensor::{Device, Tensor, TensorData};

use super::config::Family;
use super::model::{Roformer, sequences};
use super::{RoformerConfig, is_optional, layout};
use crate::networks::golden::{self, Comparison, Stored, check, decibels};
use crate::networks::spectral::{SpectralConfig, SpectralNetwork};
use crate::networks::{Format, Segment, Watcher};
use crate::weights::{Tensors, WeightsError};

impl Stored {
    /// Returns a spectrum or mask `[.., bins, frames, re/im]` with its parts before its bins: `[1, .., 4, bins,
    /// frames]`.
    fn parts(&self, key: &str) -> Tensor<4> {
        let (shape, values) = &self.0[key];
        let [.., bins, frames, _] = shape[..] else { panic!("{key}: {shape:?}") };
        let all = values.len() / (2 * bins * frames);
        let x = Tensor::<4>::from_data(TensorData::new(values.clone(), [all, bins, frames, 2]), &Device::flex());
        x.permute([0, 3, 1, 2]).reshape([1, 2 * all, bins, frames])
    }
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

/// A network with its configuration and reference data.
struct Case {
    name: &'static str,
    config: RoformerConfig,
    network: Roformer,
    golden: Stored,
}

impl Case {
    fn open(name: &'static str) -> Self {
        let weights = weights(name);
        let family = if name.starts_with("tiny-bs") { "bs_roformer" } else { "mel_band_roformer" };
        let config = RoformerConfig::from_json(&golden::config(&format!("{name}.safetensors")), family).unwrap();
        check_keys(&config, &weights);
        let stems: Vec<usize> = (0..config.common.stems.len()).collect();
        let network = Roformer::load(&config, &stems, &weights, &Device::flex(), Format::F32).unwrap();
        Self { name, config, network, golden: Stored::open(&format!("{name}.golden.safetensors")) }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.config.common.stems.len()).collect()
    }

    fn spectrum(&self, signal: &Segment) -> Tensor<4> {
        let spectra = self.config.spectra();
        let shape = [1, 4, spectra.bins(), spectra.frames(signal[0].len())];
        Tensor::from_data(crate::ops::data(spectra.analyse_all(signal), shape), &Device::flex())
    }

    /// Separates one chunk; the result is `[stems, 2, samples]`.
    fn separate(&self, signal: &Segment, watcher: &mut dyn Watcher) -> Vec<f32> {
        let planes = floats(self.network.forward(self.spectrum(signal), &self.all(), watcher));
        let (spectra, samples) = (self.config.spectra(), signal[0].len());
        let mut out = vec![f32::NAN; 2 * self.all().len() * samples];
        let planes = planes.chunks_exact(planes.len() / (2 * self.all().len()));
        planes.zip(out.chunks_exact_mut(samples)).for_each(|(planes, out)| spectra.synthesise(planes, out));
        out
    }

    fn check(&self, what: &str, got: &[f32], least_db: f64) {
        check(self.name, "cpu", what, decibels(self.golden.values(what), got), least_db);
    }
}

fn weights(name: &str) -> Stored {
    Stored::open(&format!("{name}.safetensors"))
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
    weights.0.keys().for_each(|key| assert!(layout.contains_key(key), "{key}"));
}

/// Moves the parts `[1, 2 * channels, bins, frames]` of a spectrum to its end, as in the traces.
fn complex(x: Tensor<4>) -> TensorData {
    let [_, parts, bins, frames] = x.dims();
    x.reshape([parts / 2, 2, bins, frames]).permute([0, 2, 3, 1]).into_data()
}

/// Compares the parts of the first layer, which `Watcher` does not see. Only the first layer has traces of its parts.
fn compare_first_layer(case: &Case, spectrum: Tensor<4>, comparison: &mut Comparison) {
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

/// Returns the mask of stems for a stored spectrum, in the stored layout.
fn mask(case: &Case, spectrum: &str, stems: &[usize]) -> Vec<f32> {
    let features = case.network.features(case.golden.parts(spectrum), &mut ());
    let mask = |&stem: &usize| complex(case.network.mask(features.clone(), stem, &mut ()));
    stems.iter().map(mask).flat_map(|data| data.try_into_vec::<f32>().unwrap()).collect()
}

#[test]
fn masks_and_first_layers_match_reference() {
    for (name, parts) in [("tiny-bs", 4), ("tiny-bs-512", 4), ("tiny-mel", 4), ("tiny-mel-2", 6)] {
        let case = Case::open(name);
        case.check("mask", &mask(&case, "spectrum", &case.all()), 110.0);
        let mut comparison = Comparison::open(name, "", 105.0);
        let spectrum = case.spectrum(&case.golden.signal("chunk"));
        comparison.compare("input.spectrogram", complex(spectrum.clone()));
        compare_first_layer(&case, spectrum, &mut comparison);
        assert_eq!(comparison.seen.len(), 1 + parts, "{name}");
        comparison.report();
    }
}

/// Pure tones leave bands that hold only rounding errors, so their stems are compared only roughly.
#[test]
fn pure_tones_match_reference() {
    let case = Case::open("tiny-bs");
    case.check("tone_mask_stem0", &mask(&case, "tone_spectrum", &[0]), 110.0);
    case.check("tone_stems", &case.separate(&case.golden.signal("tone"), &mut ()), 15.0);
}

#[test]
fn cases_cover_the_options() {
    let config = |name| Case::open(name).config;
    let (bs, bs_512, mel_2) = (config("tiny-bs"), config("tiny-bs-512"), config("tiny-mel-2"));
    assert_eq!((bs.family, bs.zero_dc), (Family::Bs, false));
    assert!(bs_512.skip_connection && bs_512.zero_dc && bs_512.common.stems == ["Vocals"]);
    assert!(mel_2.match_input_audio_length && mel_2.zero_dc);
    assert_eq!((mel_2.family, mel_2.axis_depths), (Family::Mel, [2, 1]));
}

/// Eight seconds of noise from a linear congruential generator.
#[test]
fn long_chunk_matches_reference_per_module() {
    let case = Case::open("tiny-bs");
    let mut state = 0_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((f64::from(state >> 8) / 16_777_216.0) - 0.5) as f32
    };
    let samples = 8 * 44_100;
    let (left, right): (Vec<f32>, Vec<f32>) = (0..samples).map(|_| (next(), next())).unzip();
    let signal = [left, right];
    let mut comparison = Comparison::open(case.name, "long.", 105.0);
    let stems = case.separate(&signal, &mut comparison);
    comparison.compare("output", TensorData::new(stems, [case.all().len(), 2, samples]));
    compare_first_layer(&case, case.spectrum(&signal), &mut comparison);
    assert_eq!(comparison.seen.len(), 1 + 4 + 4 + 1 + 2 + 1);
    comparison.report();
}

#[test]
fn batch_gives_the_same_as_single_chunks() {
    let case = Case::open("tiny-mel");
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
    let Case { mut config, .. } = Case::open("tiny-bs");
    let weights = weights("tiny-bs");
    config.dim = 16;
    let load = |config: &RoformerConfig| Roformer::load(config, &[0], &weights, &Device::flex(), Format::F32);
    assert!(matches!(load(&config), Err(WeightsError::WrongShape { .. })));
    (config.dim, config.depth) = (8, 3);
    assert!(matches!(load(&config), Err(WeightsError::MissingKey(_))));
}

#[test]
fn heads_that_are_not_loaded_are_not_read() {
    let (case, mut weights) = (Case::open("tiny-bs"), weights("tiny-bs"));
    weights.0.retain(|key, _| !key.starts_with("mask_estimators.1."));
    let load = |stems: &[usize]| Roformer::load(&case.config, stems, &weights, &Device::flex(), Format::F32);
    assert!(load(&[0]).is_ok());
    assert!(matches!(load(&[1]), Err(WeightsError::MissingKey(key)) if key.starts_with("mask_estimators.1.")));
}
