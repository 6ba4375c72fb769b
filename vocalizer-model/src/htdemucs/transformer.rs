//! The transformer between encoder and decoder: self-attention in each branch, then attention across them, in turn.

use burn::module::{Module, Param};
use burn::nn::{GroupNorm, LayerNorm, Linear};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::HtdemucsConfig;
use super::layers::{group_norm, layer_norm, linear};
use super::loader::Loader;
use super::model::Watcher;
use crate::weights::WeightsError;

/// Both branches' layers.
#[derive(Module, Debug)]
pub(super) struct CrossTransformer {
    norm_in: LayerNorm,
    norm_in_t: LayerNorm,
    layers: Vec<Layer>,
    layers_t: Vec<Layer>,
    max_period: f64,
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
            norm_in: layer_norm(&from.at("norm_in"), dim)?,
            norm_in_t: layer_norm(&from.at("norm_in_t"), dim)?,
            layers: layers("layers")?,
            layers_t: layers("layers_t")?,
            max_period: config.t_max_period,
        })
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, channels, frequencies, frames]`, and so in the output
    /// - `xt`: `[batch, channels, frames_t]`, and so in the output
    pub(super) fn forward(&self, x: Tensor<4>, xt: Tensor<3>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<3>) {
        let [batch, channels, freqs, frames] = x.dims();
        let frames_t = xt.dims()[2];
        let device = x.device();

        // Tokens run over frequencies within a frame, then over frames.
        let x = x.permute([0, 3, 2, 1]).reshape([batch, frames * freqs, channels]);
        let x = self.norm_in.forward(x) + position_2d(channels, freqs, frames, self.max_period, &device);
        let xt = self.norm_in_t.forward(xt.swap_dims(1, 2)) + position_1d(channels, frames_t, self.max_period, &device);

        let (mut x, mut xt) = (x, xt);
        for (index, (layer, layer_t)) in self.layers.iter().zip(&self.layers_t).enumerate() {
            let (y, yt) = (layer.forward(x.clone(), xt.clone()), layer_t.forward(xt, x));
            watcher.output(&format!("crosstransformer.layers.{index}"), &|| y.to_data());
            watcher.output(&format!("crosstransformer.layers_t.{index}"), &|| yt.to_data());
            (x, xt) = (y, yt);
        }
        let x = x.reshape([batch, frames, freqs, channels]).permute([0, 3, 2, 1]);
        (x, xt.swap_dims(1, 2))
    }
}

/// One layer: attention (to itself, or to the other branch), then a feed-forward part, each scaled and added.
#[derive(Module, Debug)]
struct Layer {
    norm1: LayerNorm,
    norm2: LayerNorm,
    /// Before the feed-forward part where attention crosses; elsewhere `norm2` stands there.
    norm3: Option<LayerNorm>,
    q: Linear,
    k: Linear,
    v: Linear,
    out_proj: Linear,
    gamma_1: Param<Tensor<1>>,
    linear1: Linear,
    linear2: Linear,
    gamma_2: Param<Tensor<1>>,
    norm_out: GroupNorm,
    heads: usize,
}

impl Layer {
    fn load(from: &Loader<'_>, config: &HtdemucsConfig, crosses: bool) -> Result<Self, WeightsError> {
        let dim = config.transformer_channels();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "dim and the scale are bounded by the configuration's checks"
        )]
        let hidden = (dim as f64 * config.t_hidden_scale) as usize;
        let attn = from.at(if crosses { "cross_attn" } else { "self_attn" });
        let weight = attn.tensor("in_proj_weight", [3 * dim, dim])?;
        let bias = attn.tensor("in_proj_bias", [3 * dim])?;
        let projection =
            |i: usize| linear(weight.clone().narrow(0, i * dim, dim), bias.clone().narrow(0, i * dim, dim), from);
        let dense = |name: &str, input: usize, output: usize| {
            let from = from.at(name);
            Ok::<_, WeightsError>(linear(
                from.tensor("weight", [output, input])?,
                from.tensor("bias", [output])?,
                &from,
            ))
        };
        let out = attn.at("out_proj");
        Ok(Self {
            norm1: layer_norm(&from.at("norm1"), dim)?,
            norm2: layer_norm(&from.at("norm2"), dim)?,
            norm3: crosses.then(|| layer_norm(&from.at("norm3"), dim)).transpose()?,
            q: projection(0),
            k: projection(1),
            v: projection(2),
            out_proj: linear(out.tensor("weight", [dim, dim])?, out.tensor("bias", [dim])?, &out),
            gamma_1: from.at("gamma_1").param("scale", [dim])?,
            linear1: dense("linear1", dim, hidden)?,
            linear2: dense("linear2", hidden, dim)?,
            gamma_2: from.at("gamma_2").param("scale", [dim])?,
            norm_out: group_norm(&from.at("norm_out"), dim)?,
            heads: config.t_heads,
        })
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, tokens, channels]`, and so the output
    /// - `other`: `[batch, other_tokens, channels]`, used only where attention crosses
    fn forward(&self, x: Tensor<3>, other: Tensor<3>) -> Tensor<3> {
        let query = self.norm1.forward(x.clone());
        let (key, norm_ff) = match &self.norm3 {
            Some(norm3) => (self.norm2.forward(other), norm3),
            None => (query.clone(), &self.norm2),
        };
        let x = x + self.attend(query, key) * self.gamma_1.val().unsqueeze();
        let y = self.linear2.forward(gelu(self.linear1.forward(norm_ff.forward(x.clone()))));
        let x = x + y * self.gamma_2.val().unsqueeze();
        self.norm_out.forward(x.swap_dims(1, 2)).swap_dims(1, 2)
    }

    fn attend(&self, query: Tensor<3>, key: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, dim] = query.dims();
        let split = |t: Tensor<3>| {
            let [batch, tokens, dim] = t.dims();
            t.reshape([batch, tokens, self.heads, dim / self.heads]).swap_dims(1, 2)
        };
        let q = split(self.q.forward(query));
        let k = split(self.k.forward(key.clone()));
        let v = split(self.v.forward(key));
        let y = attention(q, k, v, None, None, AttentionModuleOptions::default());
        self.out_proj.forward(y.swap_dims(1, 2).reshape([batch, tokens, dim]))
    }
}

/// Sinusoidal positions of the waveform's frames: cosines, then sines.
///
/// # Shapes
///
/// - output: `[1, frames, channels]`
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small counts; stored as f32")]
fn position_1d(channels: usize, frames: usize, max_period: f64, device: &Device) -> Tensor<3> {
    let half = channels / 2;
    let mut out = Vec::with_capacity(frames * channels);
    for frame in 0..frames {
        let phase = |i: usize| frame as f64 / max_period.powf(i as f64 / (half - 1) as f64);
        out.extend((0..half).map(|i| phase(i).cos() as f32));
        out.extend((0..half).map(|i| phase(i).sin() as f32));
    }
    Tensor::from_data(TensorData::new(out, [1, frames, channels]), device)
}

/// Sinusoidal positions of the spectrogram: the first half of the channels tells the frame, the second the frequency,
/// sines and cosines in turn.
///
/// # Shapes
///
/// - output: `[1, frames * frequencies, channels]`
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small counts; stored as f32")]
fn position_2d(channels: usize, freqs: usize, frames: usize, max_period: f64, device: &Device) -> Tensor<3> {
    let half = channels / 2;
    let rate: Vec<f64> = (0..half / 2).map(|i| (2.0 * i as f64 * -(max_period.ln() / half as f64)).exp()).collect();
    let mut out = Vec::with_capacity(frames * freqs * channels);
    for frame in 0..frames {
        for freq in 0..freqs {
            for position in [frame, freq] {
                for r in &rate {
                    let phase = position as f64 * r;
                    out.extend([phase.sin() as f32, phase.cos() as f32]);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(out, [1, frames * freqs, channels]), device)
}
