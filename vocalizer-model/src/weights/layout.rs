//! The tensors of an HTDemucs network.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::WeightsError;
use super::error::excerpt;

/// Returns the key and shape of every tensor of the network with these arguments, as in the reference implementation.
///
/// ```
/// let kwargs = serde_json::from_str(r#"{"sources": ["drums", "bass", "other", "vocals"], "dconv_mode": 3}"#).unwrap();
/// let layout = vocalizer_model::weights::layout(&kwargs).unwrap();
/// assert_eq!(layout["encoder.0.conv.weight"], [48, 4, 8, 1]);
/// ```
///
/// # Errors
///
/// [`WeightsError::Malformed`] if an argument has the wrong type or is out of range, [`WeightsError::Unsupported`] if
/// one selects a variant that no published model uses.
pub fn layout(kwargs: &Map<String, Value>) -> Result<BTreeMap<String, Vec<usize>>, WeightsError> {
    let args = Arguments(kwargs);
    args.refuse_variants()?;
    let stems = args.sources()?;
    let audio = args.count("audio_channels", 2, 64)?;
    let channels = args.count("channels", 48, 1 << 16)?;
    let growth = args.count("growth", 2, 16)?;
    let depth = args.count("depth", 4, 8)?;
    let nfft = args.count("nfft", 4096, 1 << 20)?;
    let stride = args.count("stride", 4, 64)?.max(1);
    let kernel = args.count("kernel_size", 8, 256)?;
    let outer = 2 * args.count("context", 1, 64)? + 1;
    let inner = 2 * args.count("context_enc", 0, 64)? + 1;
    let mode = args.count("dconv_mode", 1, 3)?;
    let residual =
        Residual { depth: args.count("dconv_depth", 2, 8)?, compress: args.count("dconv_comp", 8, 1 << 16)?.max(1) };
    if depth == 0 || args.count("norm_starts", 4, 64)? < depth {
        return Err(WeightsError::Unsupported("normalised encoder layers (depth of 0 or above norm_starts)".into()));
    }
    // With so few frequencies, the reference merges the two branches in the last layer at the latest.
    if (1..depth).fold(nfft / 2, |bins, _| bins / stride) <= kernel {
        return Err(WeightsError::Unsupported("encoder layers that merge the two branches".into()));
    }

    let mut out = Layout::default();
    let mut width = channels;
    let mut into = [2 * audio, audio];
    for level in 0..depth {
        let back = if level == 0 { [2 * audio * stems, audio * stems] } else { into };
        let mirrored = depth - 1 - level;
        for (branch, tail) in [("", [1].as_slice()), ("t", &[])] {
            let (into, back) = if tail.is_empty() { (into[1], back[1]) } else { (into[0], back[0]) };
            let shape = |a: usize, b: usize| [&[a, b, kernel], tail].concat();
            let square = |size: usize| if tail.is_empty() { vec![size] } else { vec![size, size] };
            let rewrite = |size: usize| [vec![2 * width, width], square(size)].concat();

            let encoder = format!("{branch}encoder.{level}");
            out.affine(&format!("{encoder}.conv"), shape(width, into), width);
            out.affine(&format!("{encoder}.rewrite"), rewrite(inner), 2 * width);
            let decoder = format!("{branch}decoder.{mirrored}");
            out.affine(&format!("{decoder}.conv_tr"), shape(width, back), back);
            out.affine(&format!("{decoder}.rewrite"), rewrite(outer), 2 * width);
            for (bit, at) in [(1, &encoder), (2, &decoder)] {
                if mode & bit != 0 {
                    residual.write(&mut out, at, width);
                }
            }
        }
        into = [width, width];
        if level + 1 < depth {
            width = width.saturating_mul(growth);
        }
        if width == 0 || width > 1 << 16 {
            return Err(WeightsError::Malformed("the number of channels of a layer is out of range".into()));
        }
    }
    if args.float("freq_emb", 0.2)? > 0.0 {
        out.put("freq_emb.embedding.weight", vec![nfft / 2 / stride, channels]);
    }
    let bottom = args.count("bottom_channels", 0, 1 << 16)?;
    if bottom > 0 {
        for suffix in ["", "_t"] {
            out.affine(&format!("channel_upsampler{suffix}"), vec![bottom, width, 1], bottom);
            out.affine(&format!("channel_downsampler{suffix}"), vec![width, bottom, 1], width);
        }
    }
    transformer(&args, if bottom > 0 { bottom } else { width }, &mut out)?;
    Ok(out.0)
}

/// Adds the cross-domain transformer, which has `dim` channels.
fn transformer(args: &Arguments<'_>, dim: usize, out: &mut Layout) -> Result<(), WeightsError> {
    let layers = args.count("t_layers", 5, 64)?;
    let scale = args.float("t_hidden_scale", 4.0)?;
    if !(0.0..=64.0).contains(&scale) {
        return Err(WeightsError::Malformed("t_hidden_scale is out of range".into()));
    }
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "between 0 and 2^22")]
    let hidden = (dim as f64 * scale) as usize;
    let norm_in = args.flag("t_norm_in", true)? || args.flag("t_norm_in_group", false)?;
    let norm_out = args.flag("t_norm_first", true)? && args.flag("t_norm_out", true)?;
    let layer_scale = args.flag("t_layer_scale", true)?;
    let cross_first = usize::from(args.flag("t_cross_first", false)?);
    for suffix in ["", "_t"] {
        if norm_in && layers > 0 {
            out.affine(&format!("crosstransformer.norm_in{suffix}"), vec![dim], dim);
        }
        for index in 0..layers {
            let at = format!("crosstransformer.layers{suffix}.{index}");
            let (attention, norms) = if index % 2 == cross_first { ("self_attn", 2) } else { ("cross_attn", 3) };
            out.put(format!("{at}.{attention}.in_proj_weight"), vec![3 * dim, dim]);
            out.put(format!("{at}.{attention}.in_proj_bias"), vec![3 * dim]);
            out.affine(&format!("{at}.{attention}.out_proj"), vec![dim, dim], dim);
            out.affine(&format!("{at}.linear1"), vec![hidden, dim], hidden);
            out.affine(&format!("{at}.linear2"), vec![dim, hidden], dim);
            for norm in 1..=norms {
                out.affine(&format!("{at}.norm{norm}"), vec![dim], dim);
            }
            if norm_out {
                out.affine(&format!("{at}.norm_out"), vec![dim], dim);
            }
            if layer_scale {
                out.put(format!("{at}.gamma_1.scale"), vec![dim]);
                out.put(format!("{at}.gamma_2.scale"), vec![dim]);
            }
        }
    }
    Ok(())
}

/// The residual branch of an encoder or decoder layer.
struct Residual {
    depth: usize,
    compress: usize,
}

impl Residual {
    fn write(&self, out: &mut Layout, layer: &str, width: usize) {
        let hidden = width / self.compress;
        for index in 0..self.depth {
            let at = format!("{layer}.dconv.layers.{index}");
            out.affine(&format!("{at}.0"), vec![hidden, width, 3], hidden);
            out.affine(&format!("{at}.1"), vec![hidden], hidden);
            out.affine(&format!("{at}.3"), vec![2 * width, hidden, 1], 2 * width);
            out.affine(&format!("{at}.4"), vec![2 * width], 2 * width);
            out.put(format!("{at}.6.scale"), vec![width]);
        }
    }
}

#[derive(Default)]
struct Layout(BTreeMap<String, Vec<usize>>);

impl Layout {
    fn put(&mut self, key: impl Into<String>, shape: Vec<usize>) {
        self.0.insert(key.into(), shape);
    }

    fn affine(&mut self, at: &str, weight: Vec<usize>, bias: usize) {
        self.put(format!("{at}.weight"), weight);
        self.put(format!("{at}.bias"), vec![bias]);
    }
}

/// Arguments by name. An absent or null argument has the reference's default.
pub(crate) struct Arguments<'a>(pub(crate) &'a Map<String, Value>);

impl Arguments<'_> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn malformed(key: &str, value: &Value) -> WeightsError {
        WeightsError::Malformed(format!("invalid value of {key}: {}", excerpt(&value.to_string())))
    }

    pub(crate) fn count(&self, key: &str, default: usize, max: usize) -> Result<usize, WeightsError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= max);
        count.ok_or_else(|| Self::malformed(key, value))
    }

    pub(crate) fn float(&self, key: &str, default: f64) -> Result<f64, WeightsError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().filter(|n| n.is_finite()).ok_or_else(|| Self::malformed(key, value))
    }

    /// Reads a boolean. As in Python, numbers count as booleans; some of these arguments are group counts.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, WeightsError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let truth = value.as_bool().or_else(|| value.as_f64().map(|n| n != 0.0));
        truth.ok_or_else(|| Self::malformed(key, value))
    }

    fn sources(&self) -> Result<usize, WeightsError> {
        let value = self.get("sources").ok_or_else(|| WeightsError::Malformed("kwargs lack sources".into()))?;
        let count = value.as_array().map(Vec::len).filter(|n| (1..=64).contains(n));
        count.ok_or_else(|| Self::malformed("sources", value))
    }

    /// Rejects arguments that change the set of tensors and that no published model uses.
    fn refuse_variants(&self) -> Result<(), WeightsError> {
        for (key, usual) in
            [("cac", true), ("rewrite", true), ("t_sparse_self_attn", false), ("t_sparse_cross_attn", false)]
        {
            if self.flag(key, usual)? != usual {
                return Err(WeightsError::Unsupported(format!("{key} other than {usual}")));
            }
        }
        if self.get("t_emb").is_some_and(|value| value != "sin") {
            return Err(WeightsError::Unsupported("t_emb other than sin".into()));
        }
        if self.get("channels_time").is_some() {
            return Err(WeightsError::Unsupported("channels_time".into()));
        }
        if self.get("multi_freqs").is_some_and(|value| value.as_array().is_none_or(|bands| !bands.is_empty())) {
            return Err(WeightsError::Unsupported("split frequency bands (multi_freqs)".into()));
        }
        Ok(())
    }
}
