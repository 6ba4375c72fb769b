//! The parts of the network.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use super::bands::Band;
use super::config::{EXPANSION, RoformerConfig};
use super::layout::mask_widths;
use crate::networks::loader::Loader;
use crate::ops::roformer::{self as ops, Attention};
use crate::ops::{Axis, Linear};
use crate::weights::WeightsError;

/// Reads the scale of a normalisation to length one, times the length that it is given.
#[expect(clippy::cast_precision_loss, reason = "the configuration bounds the channels")]
fn scale(from: &Loader<'_>, channels: usize) -> Result<Vec<f32>, WeightsError> {
    let root = (channels as f32).sqrt();
    Ok(from.values("gamma", [channels])?.into_iter().map(|gamma| gamma * root).collect())
}

/// Reads weights `[rows, terms]` of a layer whose input is normalised, multiplied by the norm's scale.
fn scaled(from: &Loader<'_>, [rows, terms]: [usize; 2], scale: &[f32]) -> Result<Vec<f32>, WeightsError> {
    let mut weights = from.values("weight", [rows, terms])?;
    for row in weights.chunks_exact_mut(terms) {
        row.iter_mut().zip(scale).for_each(|(weight, scale)| *weight *= scale);
    }
    Ok(weights)
}

/// Makes a linear layer of weights and the bias in the file.
fn linear(from: &Loader<'_>, weights: Vec<f32>, [rows, terms]: [usize; 2]) -> Result<Linear, WeightsError> {
    let bias = from.values("bias", [rows])?;
    Ok(Linear {
        weight: ops::pack(from.on_device(weights, [rows, terms]), from.format.packed),
        bias: from.on_device(bias, [rows]),
    })
}

/// A normalisation of each position to length one, times a scale per channel.
#[derive(Debug)]
pub(super) struct Norm(Tensor<1>);

impl Norm {
    pub(super) fn load(from: &Loader<'_>, channels: usize) -> Result<Self, WeightsError> {
        Ok(Self(from.on_device(scale(from, channels)?, [channels])))
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::rms_norm(x, &self.0)
    }
}

/// The linear layers from the bins of each band to the network's channels.
#[derive(Debug)]
pub(super) struct BandSplit {
    layers: Vec<Linear>,
    bands: Vec<[usize; 2]>,
}

impl BandSplit {
    pub(super) fn load(from: &Loader<'_>, config: &RoformerConfig) -> Result<Self, WeightsError> {
        let layers = config.bands.iter().enumerate().map(|(index, band)| {
            let from = from.at("to_features").at(index);
            let shape = [config.dim, band.features()];
            let scale = scale(&from.at(0), band.features())?;
            linear(&from.at(1), scaled(&from.at(1), shape, &scale)?, shape)
        });
        let bands = config.bands.iter().map(|&Band { first, bins }| [first, bins]).collect();
        Ok(Self { layers: layers.collect::<Result<_, _>>()?, bands })
    }

    /// # Shapes
    ///
    /// - `spectrum`: `[batch, 4, bins, frames]`
    /// - output: `[batch, dim, bands, frames]`
    pub(super) fn forward(&self, spectrum: Tensor<4>) -> Tensor<4> {
        ops::split_bands(spectrum, &self.layers, &self.bands)
    }
}

/// The rotations of positions along one axis, kept for the last length.
#[derive(Debug)]
pub(super) struct Rotation {
    frequencies: Vec<f32>,
    known: Mutex<Option<[Tensor<2>; 2]>>,
}

impl Rotation {
    pub(super) fn new(frequencies: Vec<f32>) -> Arc<Self> {
        Arc::new(Self { frequencies, known: Mutex::default() })
    }

    /// Returns whether two rotations have the same frequencies, and so can share their tables.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.frequencies == other.frequencies
    }

    /// Returns the frequencies of the training: powers of 10,000.
    pub(super) fn frequencies(dim_head: usize) -> Vec<f32> {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small counts, stored as f32")]
        let frequency = |pair: usize| 10_000_f64.powf(-2.0 * pair as f64 / dim_head as f64) as f32;
        (0..dim_head / 2).map(frequency).collect()
    }

    /// Returns cosines and sines `[frequencies, positions]`, on the device and in the precision of `x`.
    fn tables(&self, positions: usize, x: &Tensor<4>) -> [Tensor<2>; 2] {
        let shape = [self.frequencies.len(), positions];
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = known.as_ref().filter(|[cos, _]| cos.dims() == shape) {
            return tables.clone();
        }
        // The angles are rounded to f32, as in the reference.
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "positions below 2^24")]
        let table = |of: fn(f64) -> f64| {
            let angles = self.frequencies.iter().flat_map(|f| (0..positions).map(move |at| at as f32 * f));
            let values: Vec<f32> = angles.map(|angle| of(f64::from(angle)) as f32).collect();
            let data = burn::tensor::TensorData::new(values, shape);
            Tensor::from_data(data, (&x.device(), x.dtype()))
        };
        known.insert([table(f64::cos), table(f64::sin)]).clone()
    }
}

/// Attention and a feed-forward part, each added to its input.
#[derive(Debug)]
pub(super) struct Block {
    attention: Attention,
    rotation: Arc<Rotation>,
    feed: [Linear; 2],
}

impl Block {
    pub(super) fn load(
        from: &Loader<'_>,
        config: &RoformerConfig,
        rotation: Arc<Rotation>,
    ) -> Result<Self, WeightsError> {
        let (dim, heads, width) = (config.dim, config.heads, config.dim_head);
        let inner = heads * width;
        let at = from.at(0);
        let norm = scale(&at.at("norm"), dim)?;
        // The file's rows are ordered by (q k v, head, channel); those of a head shall be together.
        let rows = scaled(&at.at("to_qkv"), [3 * inner, dim], &norm)?;
        let mut qkv = Vec::with_capacity(rows.len());
        for head in 0..heads {
            for kind in 0..3 {
                qkv.extend_from_slice(&rows[(kind * inner + head * width) * dim..][..width * dim]);
            }
        }
        let gates = at.at("to_gates");
        let out = at.at("to_out.0").values("weight", [dim, inner])?;
        let attention = Attention {
            qkv: ops::pack(from.on_device(qkv, [3 * inner, dim]), from.format.packed),
            gates: linear(&gates, scaled(&gates, [heads, dim], &norm)?, [heads, dim])?,
            out: ops::pack(from.on_device(out, [dim, inner]), from.format.packed),
            heads,
            width,
        };
        let net = from.at("1.net");
        let hidden = EXPANSION * dim;
        let (up, down) = (net.at(1), net.at(4));
        let norm = scale(&net.at(0), dim)?;
        let feed = [
            linear(&up, scaled(&up, [hidden, dim], &norm)?, [hidden, dim])?,
            linear(&down, down.values("weight", [dim, hidden])?, [dim, hidden])?,
        ];
        Ok(Self { attention, rotation, feed })
    }

    /// Adds attention along an axis.
    ///
    /// # Shapes
    ///
    /// - `x` and output: `[batch, dim, bands, frames]`
    pub(super) fn attend(&self, x: Tensor<4>, axis: Axis) -> Tensor<4> {
        let [_, _, bands, frames] = x.dims();
        let positions = if axis == Axis::Frames { frames } else { bands };
        let tables = self.rotation.tables(positions, &x);
        ops::attention(x, &self.attention, tables, axis)
    }

    /// Adds the feed-forward part.
    ///
    /// # Shapes
    ///
    /// - `x` and output: `[batch, dim, bands, frames]`
    pub(super) fn feed(&self, x: Tensor<4>) -> Tensor<4> {
        ops::feed_forward(x, [&self.feed[0], &self.feed[1]])
    }
}

/// The estimator of one stem's mask: linear layers per band with tanh between them, gated at the end.
#[derive(Debug)]
pub(super) struct MaskEstimator {
    /// The layers of the first band, then of the second, and so on.
    layers: Vec<Linear>,
    /// Layers per band.
    depth: usize,
}

impl MaskEstimator {
    pub(super) fn load(from: &Loader<'_>, config: &RoformerConfig) -> Result<Self, WeightsError> {
        let mut layers = Vec::with_capacity(config.bands.len() * config.mask_layers);
        for (index, band) in config.bands.iter().enumerate() {
            let from = from.at("to_freqs").at(index).at(0);
            for (layer, pair) in mask_widths(config, band.features()).windows(2).enumerate() {
                let (from, shape) = (from.at(2 * layer), [pair[1], pair[0]]);
                layers.push(linear(&from, from.values("weight", shape)?, shape)?);
            }
        }
        Ok(Self { layers, depth: config.mask_layers })
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, dim, bands, frames]`
    /// - output: `[batch, bins of all bands, 4, frames]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::band_masks(x, &self.layers, self.depth)
    }
}
