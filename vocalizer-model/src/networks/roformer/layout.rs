//! The tensors of a RoFormer.

use std::collections::BTreeMap;

use super::config::{EXPANSION, Family, RoformerConfig};

/// The end of the keys of rotary frequencies. They are stored per block, once per axis, or not at all.
const FREQUENCIES: &str = "rotary_embed.freqs";

/// Returns whether a file may lack this tensor.
pub(crate) fn is_optional(key: &str) -> bool {
    key.ends_with(FREQUENCIES)
}

/// Returns the key of the rotary frequencies of a block.
pub(super) fn frequencies(layer: usize, axis: usize, block: usize) -> String {
    format!("layers.{layer}.{axis}.layers.{block}.0.{FREQUENCIES}")
}

/// Returns the key and shape of every tensor of the network, as in the reference implementation, including those for
/// which [`is_optional`] holds.
pub(crate) fn layout(config: &RoformerConfig) -> BTreeMap<String, Vec<usize>> {
    let mut out = BTreeMap::new();
    let mut put = |key: String, shape: &[usize]| drop(out.insert(key, shape.to_vec()));
    let (dim, inner) = (config.dim, config.heads * config.dim_head);
    for (index, band) in config.bands.iter().enumerate() {
        let at = format!("band_split.to_features.{index}");
        put(format!("{at}.0.gamma"), &[band.features()]);
        put(format!("{at}.1.weight"), &[dim, band.features()]);
        put(format!("{at}.1.bias"), &[dim]);
    }
    for layer in 0..config.depth {
        for (axis, &blocks) in config.axis_depths.iter().enumerate() {
            for block in 0..blocks {
                let at = format!("layers.{layer}.{axis}.layers.{block}");
                put(format!("{at}.0.norm.gamma"), &[dim]);
                put(format!("{at}.0.to_qkv.weight"), &[3 * inner, dim]);
                put(format!("{at}.0.to_gates.weight"), &[config.heads, dim]);
                put(format!("{at}.0.to_gates.bias"), &[config.heads]);
                put(format!("{at}.0.to_out.0.weight"), &[dim, inner]);
                put(frequencies(layer, axis, block), &[config.dim_head / 2]);
                put(format!("{at}.1.net.0.gamma"), &[dim]);
                put(format!("{at}.1.net.1.weight"), &[EXPANSION * dim, dim]);
                put(format!("{at}.1.net.1.bias"), &[EXPANSION * dim]);
                put(format!("{at}.1.net.4.weight"), &[dim, EXPANSION * dim]);
                put(format!("{at}.1.net.4.bias"), &[dim]);
            }
            if config.family == Family::Mel {
                put(format!("layers.{layer}.{axis}.norm.gamma"), &[dim]);
            }
        }
    }
    if config.family == Family::Bs {
        put("final_norm.gamma".into(), &[dim]);
    }
    for stem in 0..config.common.stems.len() {
        for (index, band) in config.bands.iter().enumerate() {
            let widths = mask_widths(config, band.features());
            for (layer, pair) in widths.windows(2).enumerate() {
                let at = format!("mask_estimators.{stem}.to_freqs.{index}.0.{}", 2 * layer);
                put(format!("{at}.weight"), &[pair[1], pair[0]]);
                put(format!("{at}.bias"), &[pair[1]]);
            }
        }
    }
    out
}

/// Returns the channels before and after each linear layer of a mask estimator; its output is gated to half as many.
pub(super) fn mask_widths(config: &RoformerConfig, features: usize) -> Vec<usize> {
    let mut widths = vec![config.mask_hidden; config.mask_layers + 1];
    widths[0] = config.dim;
    widths[config.mask_layers] = 2 * features;
    widths
}
