//! The transformer between encoder and decoder: self-attention in each branch alternates with attention across
//! branches.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use vocalizer_kernels::gemm::Precision;

use super::config::HtdemucsConfig;
use super::layers::{layer, norm};
use crate::networks::Watcher;
use crate::networks::loader::Loader;
use crate::ops::{self, Linear, Norm};
use crate::weights::WeightsError;

/// The layers of both branches. Frequencies and frames keep their dimensions next to channels: once the positions are
/// embedded, no layer depends on their order.
#[derive(Debug)]
pub(super) struct CrossTransformer {
    norm_in: Norm,
    norm_in_t: Norm,
    layers: Vec<Layer>,
    layers_t: Vec<Layer>,
    max_period: f64,
    /// Cached positions of both branches; all segments of a song have the same length.
    positions: Mutex<Option<[Tensor<4>; 2]>>,
}

impl CrossTransformer {
    pub(super) fn load(from: &Loader<'_>, config: &HtdemucsConfig) -> Result<Self, WeightsError> {
        let dim = config.transformer_channels();
        let layers = |name: &str| {
            (0..config.t_layers)
                .map(|index| Layer::load(&from.at(name).at(index), config, index % 2 == 1))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            norm_in: norm(&from.at("norm_in"), dim)?,
            norm_in_t: norm(&from.at("norm_in_t"), dim)?,
            layers: layers("layers")?,
            layers_t: layers("layers_t")?,
            max_period: config.t_max_period,
            positions: Mutex::default(),
        })
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, channels, frequencies, frames]`, and so in the output
    /// - `xt`: `[batch, channels, 1, frames_t]`, and so in the output
    pub(super) fn forward(&self, x: Tensor<4>, xt: Tensor<4>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<4>) {
        let [positions, positions_t] = self.positions(&x, &xt);
        let mut x = ops::position_norm(x, &self.norm_in, positions);
        let mut xt = ops::position_norm(xt, &self.norm_in_t, positions_t);
        for (index, (layer, layer_t)) in self.layers.iter().zip(&self.layers_t).enumerate() {
            let y = layer.forward(x.clone(), xt.clone());
            watcher.output(&format!("crosstransformer.layers.{index}"), &|| tokens(y.clone()));
            let yt = layer_t.forward(xt, x);
            watcher.output(&format!("crosstransformer.layers_t.{index}"), &|| tokens(yt.clone()));
            (x, xt) = (y, yt);
        }
        (x, xt)
    }

    /// Returns the position tables for these shapes, from the cache if they match.
    fn positions(&self, x: &Tensor<4>, xt: &Tensor<4>) -> [Tensor<4>; 2] {
        let shapes = [x, xt].map(|x| [1, x.dims()[1], x.dims()[2], x.dims()[3]]);
        let mut known = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = known.as_ref().filter(|tables| [tables[0].dims(), tables[1].dims()] == shapes) {
            return tables.clone();
        }
        let [[_, channels, freqs, frames], [_, _, _, frames_t]] = shapes;
        let tables = [
            position_2d(channels, freqs, frames, self.max_period, &x.device()),
            position_1d(channels, frames_t, self.max_period, &xt.device()),
        ]
        .map(|table| table.cast(x.dtype()));
        known.insert(tables).clone()
    }
}

/// Returns a layer's output in the reference's layout: `[batch, tokens, channels]`, where tokens run over frequencies
/// within a frame, then over frames.
fn tokens(x: Tensor<4>) -> TensorData {
    let [batch, channels, freqs, frames] = x.dims();
    x.permute([0, 3, 2, 1]).reshape([batch, frames * freqs, channels]).into_data()
}

/// One layer: self- or cross-attention, then a feed-forward part, each scaled and added to its input.
#[derive(Debug)]
struct Layer {
    norm1: Norm,
    norm2: Norm,
    attention: Attention,
    out_proj: Linear,
    gamma_1: Tensor<1>,
    linear1: Linear,
    linear2: Linear,
    gamma_2: Tensor<1>,
    norm_out: Norm,
    heads: usize,
    precision: Precision,
}

/// The source of queries, keys and values.
#[derive(Debug)]
enum Attention {
    /// All three come from the branch itself.
    Own(Box<Linear>),
    /// Keys and values come from the other branch, normalised by `norm2`; `norm3` precedes the feed-forward part.
    Cross(Box<Cross>),
}

#[derive(Debug)]
struct Cross {
    q: Linear,
    kv: Linear,
    norm3: Norm,
}

impl Layer {
    fn load(from: &Loader<'_>, config: &HtdemucsConfig, crosses: bool) -> Result<Self, WeightsError> {
        let dim = config.transformer_channels();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the configuration bounds dim and the scale"
        )]
        let hidden = (dim as f64 * config.t_hidden_scale) as usize;
        let attn = from.at(if crosses { "cross_attn" } else { "self_attn" });
        let weight: Tensor<2> = attn.tensor("in_proj_weight", [3 * dim, dim])?;
        let bias: Tensor<1> = attn.tensor("in_proj_bias", [3 * dim])?;
        let projection = |first: usize, count: usize| Linear {
            weight: ops::pack(weight.clone().narrow(0, first * dim, count * dim), from.format.packed),
            bias: bias.clone().narrow(0, first * dim, count * dim),
        };
        Ok(Self {
            norm1: norm(&from.at("norm1"), dim)?,
            norm2: norm(&from.at("norm2"), dim)?,
            attention: if crosses {
                let norm3 = norm(&from.at("norm3"), dim)?;
                Attention::Cross(Box::new(Cross { q: projection(0, 1), kv: projection(1, 2), norm3 }))
            } else {
                Attention::Own(Box::new(projection(0, 3)))
            },
            out_proj: layer(&attn.at("out_proj"), [dim, dim])?,
            gamma_1: from.at("gamma_1").tensor("scale", [dim])?,
            linear1: layer(&from.at("linear1"), [hidden, dim])?,
            linear2: layer(&from.at("linear2"), [dim, hidden])?,
            gamma_2: from.at("gamma_2").tensor("scale", [dim])?,
            norm_out: norm(&from.at("norm_out"), dim)?,
            heads: config.t_heads,
            precision: from.format.packed,
        })
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, channels, rows, frames]`, and so the output
    /// - `other`: `[batch, channels, other_rows, other_frames]`, used only in cross-attention
    fn forward(&self, x: Tensor<4>, other: Tensor<4>) -> Tensor<4> {
        let channels = x.dims()[1];
        let shape = [self.heads, channels];
        let (y, norm_ff) = match &self.attention {
            Attention::Own(qkv) => {
                drop(other);
                let qkv = ops::linear(x.clone(), Some(&self.norm1), qkv);
                (ops::attention(qkv.clone(), qkv, [0, channels, 2 * channels], shape, self.precision), &self.norm2)
            }
            Attention::Cross(cross) => {
                let Cross { q, kv, norm3 } = &**cross;
                let q = ops::linear(x.clone(), Some(&self.norm1), q);
                let kv = ops::linear(other, Some(&self.norm2), kv);
                (ops::attention(q, kv, [0, 0, channels], shape, self.precision), norm3)
            }
        };
        let x = ops::linear_residual(x, y, &self.out_proj, &self.gamma_1);
        let x = ops::feed_forward(x, norm_ff, [&self.linear1, &self.linear2], &self.gamma_2);
        ops::group_norm(x, &self.norm_out)
    }
}

/// Returns sinusoidal positions of the waveform's frames: cosines, then sines.
///
/// # Shapes
///
/// - output: `[1, channels, 1, frames]`
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small counts; stored as f32")]
fn position_1d(channels: usize, frames: usize, max_period: f64, device: &Device) -> Tensor<4> {
    let half = channels / 2;
    let mut out = Vec::with_capacity(frames * channels);
    for channel in 0..2 * half {
        let rate = max_period.powf((channel % half) as f64 / (half - 1) as f64);
        let wave = if channel < half { f64::cos } else { f64::sin };
        out.extend((0..frames).map(|frame| wave(frame as f64 / rate) as f32));
    }
    Tensor::from_data(TensorData::new(out, [1, channels, 1, frames]), device)
}

/// Returns sinusoidal positions of the spectrogram: the first half of the channels encodes the frame, the second the
/// frequency, with alternating sines and cosines.
///
/// # Shapes
///
/// - output: `[1, channels, frequencies, frames]`
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small counts; stored as f32")]
fn position_2d(channels: usize, freqs: usize, frames: usize, max_period: f64, device: &Device) -> Tensor<4> {
    let half = channels / 2;
    let wave = |channel: usize, position: usize| {
        let rate = (2.0 * (channel / 2) as f64 * -(max_period.ln() / half as f64)).exp();
        let phase = position as f64 * rate;
        (if channel.is_multiple_of(2) { phase.sin() } else { phase.cos() }) as f32
    };
    let mut out = Vec::with_capacity(channels * frames * freqs);
    for channel in 0..half {
        let row: Vec<f32> = (0..frames).map(|frame| wave(channel, frame)).collect();
        (0..freqs).for_each(|_| out.extend_from_slice(&row));
    }
    for channel in 0..half {
        (0..freqs).for_each(|freq| out.extend(std::iter::repeat_n(wave(channel, freq), frames)));
    }
    Tensor::from_data(TensorData::new(out, [1, channels, freqs, frames]), device)
}
