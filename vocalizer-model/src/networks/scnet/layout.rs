//! The tensors of an SCNet.

use std::collections::BTreeMap;

use super::config::{BLOCKS, ScnetConfig};
use crate::weights::WeightsError;

/// Returns the key and shape of every tensor of the network, as in the reference implementation.
pub(crate) fn layout(config: &ScnetConfig) -> BTreeMap<String, Vec<usize>> {
    let mut out = BTreeMap::new();
    let mut put = |key: String, shape: &[usize]| drop(out.insert(key, shape.to_vec()));
    let mut affine = |key: String, weight: &[usize], bias: usize| {
        put(format!("{key}.weight"), weight);
        put(format!("{key}.bias"), &[bias]);
    };
    for block in 0..BLOCKS {
        let [input, channels] = [config.dims[block], config.dims[block + 1]];
        let hidden = channels / config.compress;
        let encoder = format!("encoder.{block}");
        for band in 0..3 {
            let taps = config.kernels[band];
            affine(format!("{encoder}.SDlayer.convs.{band}"), &[channels, input, taps, 1], channels);
            for unit in 0..config.conv_depths[band] {
                let at = format!("{encoder}.conv_modules.{band}.layers.{unit}");
                affine(format!("{at}.0"), &[channels], channels);
                affine(format!("{at}.1"), &[2 * hidden, channels, 3], 2 * hidden);
                affine(format!("{at}.3"), &[hidden, 1, 3], hidden);
                affine(format!("{at}.4"), &[hidden], hidden);
                affine(format!("{at}.6"), &[channels, hidden, 1], channels);
            }
            let decoder = format!("decoder.{}.1.convtrs.{band}", BLOCKS - 1 - block);
            affine(decoder, &[channels, config.outer(block), taps, 1], config.outer(block));
        }
        affine(format!("{encoder}.globalconv"), &[channels, channels, 3, 3], channels);
        let fusion = format!("decoder.{}.0.conv", BLOCKS - 1 - block);
        affine(fusion, &[2 * channels, 2 * channels, 3, 3], 2 * channels);
    }
    for layer in 0..config.layers {
        let channels = config.width(layer);
        for path in 0..2 {
            let at = format!("separation_net.dp_modules.{layer}");
            affine(format!("{at}.norm_layers.{path}"), &[channels], channels);
            affine(format!("{at}.linear_layers.{path}"), &[channels, 2 * channels], channels);
        }
    }
    for layer in 0..config.layers {
        let channels = config.width(layer);
        for path in 0..2 {
            let at = format!("separation_net.dp_modules.{layer}.lstm_layers.{path}");
            for direction in ["", "_reverse"] {
                for kind in ["ih", "hh"] {
                    put(format!("{at}.weight_{kind}_l0{direction}"), &[4 * channels, channels]);
                    put(format!("{at}.bias_{kind}_l0{direction}"), &[4 * channels]);
                }
            }
        }
    }
    out
}

/// Refuses the keys of two related networks, which have the same configuration.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] with the name of the network.
pub(crate) fn refuse_variants<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), WeightsError> {
    let variant = keys.find_map(|key| {
        if key.starts_with("pos_embed") || key.starts_with("mask_layer.") {
            Some("scnet_masked")
        } else if key.contains(".time_layer.") || key.contains(".freq_layer.") {
            Some("scnet_tran")
        } else {
            None
        }
    });
    match variant {
        Some(name) => Err(WeightsError::Unsupported(format!("the network {name}; use a checkpoint of scnet"))),
        None => Ok(()),
    }
}
