//! Compares the network alone with the reference, and its layout.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::model::Scnet;
use super::{ScnetConfig, layout, refuse_variants};
use crate::networks::Format;
use crate::networks::golden::{self, Stored, check, decibels};
use crate::networks::spectral::SpectralConfig;
use crate::weights::WeightsError;

/// A tiny network of the reference.
struct Case {
    config: ScnetConfig,
    weights: Stored,
}

impl Case {
    fn read(name: &str) -> Self {
        let file = format!("{name}.safetensors");
        let config = ScnetConfig::from_json(&golden::config(&file)).unwrap();
        Self { config, weights: Stored::open(&file) }
    }

    /// Runs the network on spectra `[items, 4, bins, frames]`.
    fn forward(&self, spectra: Vec<f32>, items: usize) -> Vec<f32> {
        let device = Device::flex();
        let network = Scnet::load(&self.config, &self.weights, &device, Format::F32).unwrap();
        let bins = self.config.common.bins();
        let shape = [items, 4, bins, spectra.len() / (items * 4 * bins)];
        let spectra = Tensor::from_data(TensorData::new(spectra, shape), &device);
        network.all_stems(spectra, &mut ()).into_data().try_into_vec().unwrap()
    }
}

#[test]
fn spectra_match_reference() {
    for name in ["tiny-scnet", "tiny-scnet-norm"] {
        let case = Case::read(name);
        let golden = Stored::open(&format!("{name}.golden.safetensors"));
        let spectrum = golden.values("spectrum");
        let padded = golden.signal("chunk").map(|mut signal| {
            signal.resize(case.config.padded(signal.len()), 0.0);
            signal
        });
        check(name, "cpu", "spectrum", decibels(spectrum, &case.config.spectra().analyse_all(&padded)), 110.0);
        let bins = case.config.common.bins();
        let out = case.forward(spectrum.to_vec(), 1);
        let rows = out.chunks_exact(spectrum.len() / (4 * bins)).enumerate();
        let picked = rows.filter(|(row, _)| (row % bins).is_multiple_of(4)).flat_map(|(_, row)| row);
        let picked: Vec<f32> = picked.copied().collect();
        check(name, "cpu", "out_spectrum_bins", decibels(golden.values("out_spectrum_bins"), &picked), 110.0);
    }
}

#[test]
fn layouts_match_the_files() {
    for name in ["tiny-scnet", "tiny-scnet-norm"] {
        let Case { config, weights } = Case::read(name);
        let shapes: BTreeMap<String, Vec<usize>> =
            weights.0.iter().map(|(key, (shape, _))| (key.clone(), shape.clone())).collect();
        assert_eq!(layout(&config), shapes, "{name}");
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
    let load = |case: &Case| Scnet::load(&case.config, &case.weights, &Device::flex(), Format::F32).unwrap_err();
    case.weights.0.insert(key.into(), (vec![3], vec![0.0; 3]));
    assert!(matches!(load(&case), WeightsError::WrongShape { key: wrong, .. } if wrong == key));
    case.weights.0.remove(key);
    assert!(matches!(load(&case), WeightsError::MissingKey(missing) if missing == key));
}

/// A batch gives the same as its chunks one by one.
#[test]
fn chunks_of_a_batch_do_not_mix() {
    let case = Case::read("tiny-scnet-norm");
    let one = Stored::open("tiny-scnet-norm.golden.safetensors").values("spectrum").to_vec();
    let other: Vec<f32> = one.iter().map(|v| 0.5 - v).collect();
    let both = case.forward([one.clone(), other.clone()].concat(), 2);
    assert_eq!(both, [one, other].map(|spectrum| case.forward(spectrum, 1)).concat());
}
