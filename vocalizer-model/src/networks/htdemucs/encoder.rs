//! Encoder layers: a strided convolution, a residual branch, a gated rewrite.

use burn::tensor::Tensor;

use super::config::HtdemucsConfig;
use super::layers::{DConv, along};
use crate::networks::loader::Loader;
use crate::ops::{self, Axis, Extra, Linear, TAPS};
use crate::weights::WeightsError;

/// An encoder layer: over the spectrogram with a stride over frequencies, or over the waveform with a stride over
/// frames.
#[derive(Debug)]
pub(super) struct Encoder {
    axis: Axis,
    conv: Linear,
    dconv: Option<DConv>,
    rewrite: Linear,
}

impl Encoder {
    pub(super) fn load(
        from: &Loader<'_>,
        config: &HtdemucsConfig,
        axis: Axis,
        [input, out]: [usize; 2],
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            axis,
            conv: along(&from.at("conv"), axis, [out, input], TAPS)?,
            dconv: (config.dconv_mode & 1 != 0)
                .then(|| DConv::load(&from.at("dconv"), out, config.dconv_depth, config.dconv_comp))
                .transpose()?,
            rewrite: along(&from.at("rewrite"), axis, [2 * out, out], 1)?,
        })
    }

    /// # Shapes
    ///
    /// - input: `[batch, channels_in, rows, frames]`, one row in the waveform's branch
    /// - `embedding`, to be added: `[channels_out, rows / 4]`
    /// - output: `[batch, channels_out, rows / 4, frames]`, or `[batch, channels_out, 1, ceil(frames / 4)]`
    pub(super) fn forward(&self, x: Tensor<4>, embedding: Option<Tensor<2>>) -> Tensor<4> {
        let mut y = ops::strided_gelu(x, &self.conv, self.axis);
        if let Some(dconv) = &self.dconv {
            y = dconv.forward(y);
        }
        ops::conv_glu(y, embedding.map_or(Extra::None, Extra::Embedding), &self.rewrite, [1, 1])
    }
}
