//! The network's configuration, read from a weights file.

use serde_json::{Map, Value};
use vocalizer_core::part::Stem;

use crate::ops::{STRIDE, TAPS};
use crate::weights::{Arguments, WeightsError};

/// The configuration of an HTDemucs network, read from the `kwargs` in its weights file.
///
/// Only options that differ between the published models are fields. Other options that change the network's arithmetic
/// are rejected by name, never ignored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HtdemucsConfig {
    /// The stems, in the order of the network's output.
    pub(crate) sources: Vec<Stem>,
    /// Channels of the mixture and of each stem.
    pub(crate) audio_channels: usize,
    /// Channels after the first encoder layer.
    pub(crate) channels: usize,
    /// Growth factor of the channels from layer to layer.
    pub(crate) growth: usize,
    /// STFT size; the hop is a quarter of it.
    pub(crate) nfft: usize,
    /// Layers of each encoder and decoder.
    pub(crate) depth: usize,
    /// Weight of the frequency embedding after the first layer; 0 disables it.
    pub(crate) freq_emb: f64,
    /// Factor that the stored frequency embedding lacks.
    pub(crate) emb_scale: f64,
    /// Kernel size of the strided convolutions in encoder and decoder.
    pub(crate) kernel_size: usize,
    /// Stride of these convolutions.
    pub(crate) stride: usize,
    /// Context of the decoder's rewrite convolutions, on each side.
    pub(crate) context: usize,
    /// Bit 1: residual branches in the encoder; bit 2: in the decoder.
    pub(crate) dconv_mode: usize,
    /// Layers of a residual branch.
    pub(crate) dconv_depth: usize,
    /// Channel compression inside a residual branch.
    pub(crate) dconv_comp: usize,
    /// Channels of the transformer if samplers surround it; 0 without samplers.
    pub(crate) bottom_channels: usize,
    /// Layers of the transformer in each branch.
    pub(crate) t_layers: usize,
    /// Hidden channels of the feed-forward parts, relative to the transformer's channels.
    pub(crate) t_hidden_scale: f64,
    /// Attention heads.
    pub(crate) t_heads: usize,
    /// Period of the sinusoidal position embedding.
    pub(crate) t_max_period: f64,
    /// Sample rate in Hz.
    pub(crate) rate_hz: u32,
    /// Frames of one segment, at `rate_hz`.
    pub(crate) segment_frames: usize,
}

impl HtdemucsConfig {
    /// Reads the configuration from the keyword arguments of the trained class.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a value has the wrong type or is out of range, [`WeightsError::Unsupported`] if
    /// an option selects arithmetic that this network does not implement.
    pub(crate) fn from_kwargs(kwargs: &Map<String, Value>) -> Result<Self, WeightsError> {
        let arguments = Arguments(kwargs);
        let count = |key, default| arguments.count(key, default, 1 << 20);
        for (key, only) in [
            ("cac", Value::from(true)),
            ("rewrite", Value::from(true)),
            ("wiener_iters", Value::from(0)),
            ("context_enc", Value::from(0)),
            ("t_emb", Value::from("sin")),
            ("t_norm_in", Value::from(true)),
            ("t_norm_in_group", Value::from(false)),
            ("t_group_norm", Value::from(false)),
            ("t_norm_first", Value::from(true)),
            ("t_norm_out", Value::from(true)),
            ("t_layer_scale", Value::from(true)),
            ("t_gelu", Value::from(true)),
            ("t_sparse_self_attn", Value::from(false)),
            ("t_sparse_cross_attn", Value::from(false)),
            ("t_cross_first", Value::from(false)),
            ("use_train_segment", Value::from(true)),
        ] {
            if let Some(given) = kwargs.get(key)
                && !same(given, &only)
            {
                return Err(WeightsError::Unsupported(format!("{key} = {given}; use {only}")));
            }
        }
        if kwargs.get("multi_freqs").is_some_and(|v| v.as_array().is_some_and(|a| !a.is_empty())) {
            return Err(WeightsError::Unsupported("split frequency bands (multi_freqs)".into()));
        }
        if (arguments.float("t_weight_pos_embed", 1.0)? - 1.0).abs() > f64::EPSILON {
            return Err(WeightsError::Unsupported("t_weight_pos_embed other than 1".into()));
        }
        let rate_hz = u32::try_from(count("samplerate", 44_100)?)
            .map_err(|_| WeightsError::Malformed("samplerate is out of range".into()))?;
        let config = Self {
            sources: sources(&arguments)?,
            audio_channels: count("audio_channels", 2)?,
            channels: count("channels", 48)?,
            growth: count("growth", 2)?,
            nfft: count("nfft", 4096)?,
            depth: count("depth", 4)?,
            freq_emb: arguments.float("freq_emb", 0.2)?,
            emb_scale: arguments.float("emb_scale", 10.0)?,
            kernel_size: count("kernel_size", 8)?,
            stride: count("stride", 4)?,
            context: count("context", 1)?,
            dconv_mode: count("dconv_mode", 1)?,
            dconv_depth: count("dconv_depth", 2)?,
            dconv_comp: count("dconv_comp", 8)?,
            bottom_channels: count("bottom_channels", 0)?,
            t_layers: count("t_layers", 5)?,
            t_hidden_scale: arguments.float("t_hidden_scale", 4.0)?,
            t_heads: count("t_heads", 8)?,
            t_max_period: arguments.float("t_max_period", 10_000.0)?,
            rate_hz,
            segment_frames: segment_frames(&arguments, f64::from(rate_hz))?,
        };
        config.check(count("norm_starts", 4)?)?;
        Ok(config)
    }

    fn check(&self, norm_starts: usize) -> Result<(), WeightsError> {
        let bad = |what: &str| Err(WeightsError::Unsupported(what.into()));
        if self.audio_channels != 2 || self.rate_hz != 44_100 {
            return bad("audio other than stereo at 44.1 kHz");
        }
        if self.depth == 0 || self.depth > 6 || norm_starts < self.depth {
            return bad("normalised encoder layers, or a depth outside 1 to 6");
        }
        if self.kernel_size != TAPS || self.stride != STRIDE || self.context > 4 {
            return bad("kernels other than 8 with stride 4");
        }
        if !self.nfft.is_power_of_two() || self.nfft < 1024 || self.nfft > 1 << 16 {
            return bad("an STFT size that is not a power of two from 1,024 to 65,536");
        }
        if (self.nfft / 2) >> (2 * (self.depth - 1)) <= self.kernel_size {
            return bad("encoder layers that merge the two branches");
        }
        let dim = self.transformer_channels();
        if self.channels == 0 || self.growth == 0 || self.dconv_comp == 0 || self.channels < self.dconv_comp {
            return bad("layers without channels");
        }
        if dim > 1 << 14 || self.t_heads == 0 || !dim.is_multiple_of(self.t_heads) || !dim.is_multiple_of(4) {
            return bad("transformer channels that do not divide evenly among the heads");
        }
        if self.t_layers == 0 || self.t_layers > 64 || !(0.25..=16.0).contains(&self.t_hidden_scale) {
            return bad("a transformer size (t_layers, t_hidden_scale) out of range");
        }
        if self.segment_frames <= 3 * self.nfft || self.segment_frames > 60 * 44_100 {
            return bad("segments shorter than three STFT windows or longer than a minute");
        }
        Ok(())
    }

    /// Returns the number of channels after encoder layer `index`.
    pub(crate) fn channels_at(&self, index: usize) -> usize {
        self.channels.saturating_mul(self.growth.saturating_pow(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Returns the number of channels inside the transformer.
    pub(crate) fn transformer_channels(&self) -> usize {
        if self.bottom_channels > 0 { self.bottom_channels } else { self.channels_at(self.depth - 1) }
    }
}

/// Compares JSON values; 0 equals false and 1 equals true, as in Python.
fn same(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_bool().map(|b| f64::from(u8::from(b))));
    match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
        _ => a == b,
    }
}

fn sources(arguments: &Arguments<'_>) -> Result<Vec<Stem>, WeightsError> {
    let value = arguments.get("sources").unwrap_or(&Value::Null);
    let names = value.as_array().filter(|a| !a.is_empty()).ok_or_else(|| Arguments::malformed("sources", value))?;
    names
        .iter()
        .map(|name| name.as_str().and_then(|n| n.parse().ok()).ok_or_else(|| Arguments::malformed("sources", value)))
        .collect()
}

/// Reads the segment length, in seconds: a number, or a fraction as the reference serialises it.
fn segment_frames(arguments: &Arguments<'_>, rate_hz: f64) -> Result<usize, WeightsError> {
    let default = Value::from(10);
    let value = arguments.0.get("segment").unwrap_or(&default);
    let part = |name: &str| value.get(name).and_then(Value::as_f64);
    let frames = match (part("numerator"), part("denominator")) {
        (Some(n), Some(d)) if d > 0.0 => n * rate_hz / d,
        _ => value.as_f64().map(|s| s * rate_hz).ok_or_else(|| Arguments::malformed("segment", value))?,
    };
    if !(1.0..1e9).contains(&frames) {
        return Err(Arguments::malformed("segment", value));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in 1..1e9")]
    Ok(frames as usize)
}
